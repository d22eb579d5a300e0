/** The API groups that Weir serves; the core group has no name. */

export const imageGroup = 'image.openshift.io'
export const projectGroup = 'project.openshift.io'
export const rbacGroup = 'rbac.authorization.k8s.io'
export const authenticationGroup = 'authentication.k8s.io'
export const authorizationGroup = 'authorization.k8s.io'
export const openshiftAuthorizationGroup = 'authorization.openshift.io'
export const userGroup = 'user.openshift.io'
export const weirGroup = 'weir.dev'

const groups: Readonly<Record<string, string>> = {
  roles: rbacGroup,
  rolebindings: rbacGroup,
  clusterroles: rbacGroup,
  clusterrolebindings: rbacGroup,
  imagestreams: imageGroup,
}

/** The group of a stored resource, for the object store's messages. */
export function groupOf(resource: string): string {
  return groups[resource] ?? ''
}
