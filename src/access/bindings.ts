import type { BindingSubject, Grant, RoleRef, Subject } from './access.ts'
import { serviceAccountUser } from './identities.ts'
import type { Binding } from './rules.ts'

/** Whether the role that a binding in `project` refers to is one that is looked for. */
export type RoleTest = (roleRef: RoleRef, project: string) => boolean

/** Whom bindings name, as `User NAME` or `Group NAME`; a service account is the user that it is. */
export type SubjectKey = string

const serviceAccount = /^system:serviceaccount:([^:]+):([^:]+)$/

/** Whom a key stands for, a service account as such. */
export function subjectOf(key: SubjectKey): BindingSubject {
  const space = key.indexOf(' ')
  const name = key.slice(space + 1)
  if (key.slice(0, space) === 'Group') return { kind: 'Group', name }
  const [, namespace, account] = serviceAccount.exec(name) ?? []
  return namespace && account ? { kind: 'ServiceAccount', name: account, namespace } : { kind: 'User', name }
}

/** Bindings in memory, by project ('' for the whole cluster) and by whom they name. */
export interface Bindings {
  /** A binding as it is from now on; undefined when it is gone. */
  set(project: string, name: string, binding: Binding | undefined): void
  /** Forgets those of the projects that `where` names. */
  clear(where: (project: string) => boolean): void
  /** By what a role that passes `test` is bound to the subject, in the project or for the whole cluster. */
  find(subject: Subject, project: string, test: RoleTest): Grant | undefined
  /** Everybody to whom a role that passes `test` is bound there, in no order, perhaps twice. */
  named(project: string, test: RoleTest): Iterable<{ key: SubjectKey; grant: Grant }>
}

/** A role with the bindings that give it; many bindings to one role cost an answer no more than one. */
interface Given {
  roleRef: RoleRef
  names: Set<string>
}

/** The bindings of one project. */
interface Place {
  byName: Map<string, { roleRef: RoleRef; keys: SubjectKey[] }>
  bySubject: Map<SubjectKey, Map<string, Given>>
}

export function createBindings(): Bindings {
  const places = new Map<string, Place>()

  function remove(place: Place, name: string): void {
    const { roleRef, keys } = place.byName.get(name) ?? { keys: [] }
    for (const key of keys) {
      const given = place.bySubject.get(key)
      const names = given?.get(refKey(roleRef))?.names
      names?.delete(name)
      if (names?.size === 0) given?.delete(refKey(roleRef))
      if (given?.size === 0) place.bySubject.delete(key)
    }
    place.byName.delete(name)
  }

  function add(place: Place, project: string, name: string, binding: Binding): void {
    const { roleRef } = binding
    const keys = subjectKeys(binding, project)
    place.byName.set(name, { roleRef, keys })
    for (const key of keys) {
      const given = place.bySubject.get(key) ?? new Map<string, Given>()
      const names = given.get(refKey(roleRef))?.names ?? new Set()
      place.bySubject.set(key, given.set(refKey(roleRef), { roleRef, names: names.add(name) }))
    }
  }

  function findAt(project: string, key: SubjectKey, test: RoleTest): Grant | undefined {
    for (const { roleRef, names } of places.get(project)?.bySubject.get(key)?.values() ?? []) {
      const [name = ''] = names
      if (test(roleRef, project)) return grantBy(name, project, roleRef, key)
    }
    return undefined
  }

  return {
    set(project, name, binding) {
      const place = places.get(project) ?? { byName: new Map(), bySubject: new Map() }
      remove(place, name)
      if (binding !== undefined) add(place, project, name, binding)
      place.byName.size === 0 ? places.delete(project) : places.set(project, place)
    },
    clear(where) {
      for (const project of [...places.keys()]) if (where(project)) places.delete(project)
    },
    find(subject, project, test) {
      const keys = [`User ${subject.name}`, ...subject.groups.map((group) => `Group ${group}`)]
      for (const place of placesOf(project)) {
        for (const key of keys) {
          const grant = findAt(place, key, test)
          if (grant !== undefined) return grant
        }
      }
      return undefined
    },
    *named(project, test) {
      for (const place of placesOf(project)) {
        const passes = new Map<string, boolean>()
        for (const [key, given] of places.get(place)?.bySubject ?? []) {
          for (const [ref, { roleRef, names }] of given) {
            const isWanted = passes.get(ref) ?? test(roleRef, place)
            passes.set(ref, isWanted)
            const [name = ''] = names
            if (isWanted) yield { key, grant: grantBy(name, place, roleRef, key) }
          }
        }
      }
    },
  }
}

/** Where bindings that count in a project are. */
function placesOf(project: string): string[] {
  return project === '' ? [''] : [project, '']
}

function grantBy(name: string, project: string, role: RoleRef, key: SubjectKey): Grant {
  return { kind: project === '' ? 'ClusterRoleBinding' : 'RoleBinding', name, project, role, to: subjectOf(key) }
}

function refKey(roleRef: RoleRef | undefined): string {
  return `${roleRef?.kind} ${roleRef?.name}`
}

function subjectKeys({ subjects }: Binding, project: string): SubjectKey[] {
  return (subjects ?? []).map(({ kind, name, namespace }) =>
    kind === 'ServiceAccount' ? `User ${serviceAccountUser(namespace || project, name)}` : `${kind} ${name}`,
  )
}
