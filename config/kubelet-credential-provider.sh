#!/bin/sh
# A kubelet credential provider for Weir: pods pull as their own service account, and no secret is stored anywhere.
#
# The kubelet asks for a token of the pod's service account, for the audience that its configuration names
# (kubelet-credential-provider.yaml), and hands it to this program, which hands it back as the password for the registry
# of the image. Weir knows the cluster as an issuer (auth.issuers) and checks the token. It needs a POSIX shell and awk.
#
# stdin:  CredentialProviderRequest, credentialprovider.kubelet.k8s.io/v1, one JSON object
# stdout: CredentialProviderResponse
# https://kubernetes.io/docs/tasks/administer-cluster/kubelet-credential-provider/
#
# WEIR_CACHE_DURATION: how long the kubelet keeps the answer; less than the token lives. Default 5m0s.

set -eu
LC_ALL=C
export LC_ALL

# Reads the JSON and prints three lines: image, token and `end`, without which an empty token would be lost. Only keys of
# the object itself count; one that stands there twice is refused, and an escape in a value that counts: none can have one.
parse='
function fail(why) { print "weir: " why > "/dev/stderr"; failed = 1; exit 1 }
function space() { while (substr(text, at, 1) ~ /[ \t\r\n]/) at++ }
function string(  begin, c) {
  if (substr(text, at, 1) != "\"") fail("the request is not JSON")
  begin = ++at
  escaped = 0
  while ((c = substr(text, at, 1)) != "\"") {
    if (c == "" || c < " ") fail("the request is not JSON")
    if (c == "\\") { escaped = 1; at++ }
    at++
  }
  at++
  return substr(text, begin, at - begin - 1)
}
# Skips a value that is no string.
function skip(  c, depth, begin) {
  depth = 0
  begin = at
  do {
    c = substr(text, at, 1)
    if (c == "") fail("the request is not JSON")
    if (c == "\"") { string(); continue }
    if (c == "{" || c == "[") depth++
    else if (c == "}" || c == "]") { if (depth == 0) break; depth-- }
    else if (c == "," && depth == 0) break
    at++
  } while (1)
  if (at == begin) fail("the request is not JSON")
}
{ text = text $0 "\n" }
length(text) > 262144 { fail("the request is too long") }
END {
  if (failed) exit 1
  at = 1
  space()
  if (substr(text, at++, 1) != "{") fail("the request is not a JSON object")
  space()
  while (substr(text, at, 1) != "}") {
    key = string()
    space()
    if (substr(text, at++, 1) != ":") fail("the request is not JSON")
    space()
    if (key == "apiVersion" || key == "kind" || key == "image" || key == "serviceAccountToken") {
      if (key in value) fail("the request has " key " twice")
      value[key] = string()
      if (escaped) fail("the " key " of the request has characters that none has")
    } else skip()
    space()
    c = substr(text, at, 1)
    if (c == ",") { at++; space(); if (substr(text, at, 1) != "\"") fail("the request is not JSON") }
    else if (c != "}") fail("the request is not JSON")
  }
  at++
  space()
  if (at <= length(text)) fail("something follows the request")
  if (value["kind"] != "CredentialProviderRequest") fail("the request is no CredentialProviderRequest")
  if (value["apiVersion"] != "credentialprovider.kubelet.k8s.io/v1") fail("the apiVersion of the request is not credentialprovider.kubelet.k8s.io/v1")
  print value["image"]
  print value["serviceAccountToken"]
  print "end"
}
'

fail() {
  printf 'weir: %s\n' "$1" >&2
  exit 1
}

fields=$(awk "$parse")
image=${fields%%
*}
token=${fields#*
}
token=${token%%
*}

# The host of the image: what stands before the first slash. A reference without a host is docker.io's, never Weir's.
case $image in
  */*) host=${image%%/*} ;;
  *) fail 'the image names no registry' ;;
esac
case $host in
  *[!A-Za-z0-9.:_-]* | '' | .* | -* | :*) fail 'the image names no registry' ;;
  *.* | *:* | localhost) ;;
  *) fail 'the image names no registry' ;;
esac
case $token in
  '') fail 'there is no serviceAccountToken: set tokenAttributes, on Kubernetes 1.34 or newer' ;;
  *[!A-Za-z0-9._-]* | .* | *. | *..* | *.*.*.*) fail 'the serviceAccountToken is not a JWT' ;;
  *.*.*) ;;
  *) fail 'the serviceAccountToken is not a JWT' ;;
esac
duration=${WEIR_CACHE_DURATION:-5m0s}
case $duration in
  *[!0-9hms]* | '' | [!0-9]* | *[0-9]) fail 'WEIR_CACHE_DURATION is not a duration such as 5m0s' ;;
esac

printf '{"kind":"CredentialProviderResponse","apiVersion":"credentialprovider.kubelet.k8s.io/v1","cacheKeyType":"Registry","cacheDuration":"%s","auth":{"%s":{"username":"weir","password":"%s"}}}\n' \
  "$duration" "$host" "$token"
