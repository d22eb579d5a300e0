/**
 * `"true"` on an image stream: it follows the whole repository that its `spec.dockerImageRepository` names, and gets the tags that
 * appear there. On a tag: it follows the tag of another stream that is its source; without it, and with `"false"`, it takes the image
 * that stands there once.
 */
export const followAnnotation = 'weir.dev/follow'
