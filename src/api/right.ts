import type { Authorizer, Grant, Subject } from '../access/access.ts'
import { RegistryError } from '../oci/errors.ts'
import { qualifiedName, type Right } from './resource.ts'

/** By what `subject` has `right`; undefined when he has it not. */
export function grantOf(authorizer: Pick<Authorizer, 'explain'>, subject: Subject, right: Right): Grant | undefined {
  return authorizer.explain(subject, right.verb, right.group, right.resource, right.name, right.project)
}

/**
 * The refusal, in Kubernetes' words. It is made of the request alone, so that it can not tell whether the object exists.
 *
 * @see https://github.com/kubernetes/apiserver/blob/v0.33.0/pkg/endpoints/handlers/responsewriters/errors.go
 */
export function forbidden(subject: Subject, right: Right): RegistryError {
  const { verb, group, resource, name, project } = right
  const where = project === '' ? 'at the cluster scope' : `in the namespace "${project}"`
  const [plural = resource] = resource.split('/')
  const about = `${qualifiedName({ group, resource: plural })}${name === '' ? '' : ` "${name}"`}`
  return new RegistryError('FORBIDDEN', {
    message: `${about} is forbidden: User "${subject.name}" cannot ${verb} resource "${resource}" in API group "${group}" ${where}`,
    subject: { name, group, kind: plural },
  })
}
