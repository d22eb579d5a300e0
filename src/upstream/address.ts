import { BlockList, isIP } from 'node:net'

// IANA's special-purpose registries: "this host", private, shared (CGNAT), loopback, link-local, protocol assignments,
// documentation, 6to4 relays, benchmarking, multicast, reserved and broadcast.
const specialIpv4 = [
  '0.0.0.0/8',
  '10.0.0.0/8',
  '100.64.0.0/10',
  '127.0.0.0/8',
  '169.254.0.0/16',
  '172.16.0.0/12',
  '192.0.0.0/24',
  '192.0.2.0/24',
  '192.88.99.0/24',
  '192.168.0.0/16',
  '198.18.0.0/15',
  '198.51.100.0/24',
  '203.0.113.0/24',
  '224.0.0.0/4',
  '240.0.0.0/4',
]

// Inside 2000::/3: protocol assignments with Teredo, documentation, and 6to4, which carries any IPv4 address.
const specialIpv6 = ['2001::/23', '2001:db8::/32', '2002::/16', '3fff::/20']

// Loopback, unspecified, IPv4-mapped, unique local, link-local and multicast addresses are outside of these. Behind
// NAT64 and DNS64 every IPv4 host has an address in 64:ff9b::/96, which is as public as the one inside.
const globalIpv6 = ['2000::/3', '64:ff9b::/96']

const special = blockList(specialIpv4, [...specialIpv6, ...specialIpv4.map(nat64)])
const globalUnicast = blockList([], globalIpv6)

/**
 * Whether an IP address belongs to the public internet, so that it may be connected to without being named by the
 * operator. Anything that is not an IP address does not.
 *
 * @see https://www.iana.org/assignments/iana-ipv4-special-registry
 * @see https://www.iana.org/assignments/iana-ipv6-special-registry
 */
export function isPublicAddress(address: string): boolean {
  const [bare = ''] = address.split('%')
  if (isIP(bare) === 4) return !special.check(bare, 'ipv4')
  return isIP(bare) === 6 && globalUnicast.check(bare, 'ipv6') && !special.check(bare, 'ipv6')
}

function nat64(subnet: string): string {
  const [network, prefix] = subnet.split('/')
  return `64:ff9b::${network}/${96 + Number(prefix)}`
}

function blockList(ipv4: readonly string[], ipv6: readonly string[]): BlockList {
  const list = new BlockList()
  const add = (subnet: string, family: 'ipv4' | 'ipv6'): void => {
    const [network = '', prefix] = subnet.split('/')
    list.addSubnet(network, Number(prefix), family)
  }
  for (const subnet of ipv4) add(subnet, 'ipv4')
  for (const subnet of ipv6) add(subnet, 'ipv6')
  return list
}
