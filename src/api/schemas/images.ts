import { z } from 'zod'
import { anyObject, atomicList, integer, mapList, object, string, stringMap, time } from './fields.ts'
import { metadata } from './metadata.ts'

/** Images of `image.openshift.io/v1`. @see https://github.com/openshift/api/blob/master/image/v1/types.go */

const group = 'com.github.openshift.api.image.v1'

const imageLayer = z
  .object({
    name: string('The digest of the layer.'),
    size: integer('Its bytes.'),
    mediaType: string('Its media type.'),
  })
  .meta({ id: `${group}.ImageLayer`, description: 'One layer of an image.' })

const imageManifest = z
  .object({
    digest: string('The digest of the manifest.'),
    mediaType: string('Its media type.'),
    manifestSize: integer('Its bytes.'),
    architecture: string('The CPU architecture that it is for, as `amd64`.'),
    os: string('The operating system that it is for, as `linux`.'),
    variant: string('The variant of the architecture, as `v7`.'),
  })
  .meta({ id: `${group}.ImageManifest`, description: 'One manifest of an index: an image for one platform.' })

const signatureCondition = z
  .object({
    type: string('Trusted or ForImage.'),
    status: string('True, False or Unknown.'),
    lastProbeTime: time('When it was last looked at.'),
    lastTransitionTime: time('When the status last changed.'),
    reason: string('Why, in one word for programs.'),
    message: string('Why, for people.'),
  })
  .meta({ id: `${group}.SignatureCondition`, description: 'What is known of a signature.' })

const signatureIssuer = z
  .object({ organization: string('Organization name.'), commonName: string('Common name.') })
  .meta({ id: `${group}.SignatureIssuer`, description: 'Who issued the key of a signature.' })

const signatureSubject = z
  .object({
    organization: string('Organization name.'),
    commonName: string('Common name.'),
    publicKeyID: string('The identity of the public key.'),
  })
  .meta({ id: `${group}.SignatureSubject`, description: 'Who made a signature.' })

export const imageSignatureSchema = z
  .object({
    metadata,
    type: string('The kind of signature: AtomicImageV1.'),
    content: string('The signature, in base64.'),
    conditions: mapList(signatureCondition, 'type', 'What is known of the signature. Set by the server.'),
    imageIdentity: string('The image that the signature names. Set by the server.'),
    signedClaims: stringMap('What the signature claims. Set by the server.'),
    created: time('When the signature was made. Set by the server.'),
    issuedBy: object(signatureIssuer, 'Who issued the key. Set by the server.'),
    issuedTo: object(signatureSubject, 'Who made the signature. Set by the server.'),
  })
  .meta({ id: `${group}.ImageSignature`, description: 'A signature of an image.' })

export const imageSchema = z
  .object({
    metadata,
    dockerImageReference: string('Where the image can be pulled from.'),
    dockerImageMetadata: anyObject('What the config of the image says.'),
    dockerImageMetadataVersion: string('The version of dockerImageMetadata: 1.0.'),
    dockerImageManifest: string('The manifest, as it was received.'),
    dockerImageLayers: atomicList(imageLayer, 'The layers, base first; empty for an index.'),
    signatures: atomicList(imageSignatureSchema, 'Signatures of the image.'),
    dockerImageSignatures: atomicList(z.string(), 'Signatures of a manifest of schema 1, in base64.'),
    dockerImageManifestMediaType: string('The media type of the manifest.'),
    dockerImageConfig: string('The config, as it was received.'),
    dockerImageManifests: atomicList(imageManifest, 'The manifests of an index, one for each platform.'),
  })
  .meta({ id: `${group}.Image`, description: 'An image, named by the digest of its manifest.' })
