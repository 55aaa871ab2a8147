import type { SdsConfig } from '../../config/agent-config.ts';
import type { Node } from '../../gen/envoy/config/core/v3/base.ts';
import { Struct } from '../../gen/google/protobuf/struct.ts';
import { SpiffeError } from '../../spiffe/error.ts';

/** The key of an Envoy's own metadata that does what `disable_spiffe_cert_validation` does for all. */
const METADATA_KEY = 'disable_spiffe_cert_validation';
/** Istio's sidecars have a few KB of it. What is longer is not looked into. */
const MAX_METADATA_BYTES = 64 * 1024;
/** The first Envoy with a SPIFFE validator. */
const FIRST_MAJOR = 1;
const FIRST_MINOR = 18;

/**
 * Whether an Envoy verifies its peers by its SPIFFE validator. Inventory C124.
 *
 * @throws SpiffeError `ARGUMENT_INVALID` for metadata that is none.
 */
export function usesSpiffeValidator(node: Node | undefined, { disableSpiffeCertValidation }: SdsConfig): boolean {
  return !disableSpiffeCertValidation && !isDisabledBy(node) && hasValidator(node);
}

function isDisabledBy(node: Node | undefined): boolean {
  const value = metadataOf(node)[METADATA_KEY];
  return value === true || value === 'true';
}

function metadataOf(node: Node | undefined): Readonly<Record<string, unknown>> {
  const { metadata = new Uint8Array() } = node ?? {};
  if (metadata.length > MAX_METADATA_BYTES) return {};
  try {
    return Struct.unwrap(Struct.decode(metadata));
  } catch (cause) {
    throw new SpiffeError('ARGUMENT_INVALID', 'the metadata of the node cannot be read', { cause });
  }
}

function hasValidator(node: Node | undefined): boolean {
  if (node?.userAgentVersionType?.$case !== 'userAgentBuildVersion') return false;
  const { majorNumber = 0, minorNumber = 0 } = node.userAgentVersionType.value.version ?? {};
  return majorNumber > FIRST_MAJOR || (majorNumber === FIRST_MAJOR && minorNumber >= FIRST_MINOR);
}
