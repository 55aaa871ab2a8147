import type { ContainerInspect } from './inspect-container.ts';

/**
 * Inventory P015. A label's name and value are put together with a colon, so that a colon in either is not told from it.
 *
 * `image_config_digest` is the digest of the image's configuration, which is the image's ID, but where containerd keeps the
 * images: there the ID is another digest, and the selector is left out.
 */
export function selectorsOf({ Image, ImageManifestDescriptor, Config }: ContainerInspect): readonly string[] {
  const { Labels, Env, Image: name } = Config;
  const digest = ImageManifestDescriptor == null ? findDigest(Image ?? '') : undefined;
  return [
    ...Object.entries(Labels ?? {}).map(([label, value]) => `label:${label}:${value}`),
    ...(Env ?? []).map((variable) => `env:${variable}`),
    ...(name ? [`image_id:${name}`] : []),
    ...(digest === undefined ? [] : [`image_config_digest:${digest}`]),
  ];
}

function findDigest(imageId: string): string | undefined {
  const [, hex] = /^(?:sha256:)?([0-9a-f]{64})$/.exec(imageId) ?? [];
  return hex === undefined ? undefined : `sha256:${hex}`;
}
