import type { SdsConfig } from '../../config/agent-config.ts';
import type { Node } from '../../gen/envoy/config/core/v3/base.ts';

/** The key of an Envoy's own metadata that does what `disable_spiffe_cert_validation` does for all. */
const METADATA_KEY = 'disable_spiffe_cert_validation';
/** The first Envoy with a SPIFFE validator. */
const FIRST_MAJOR = 1;
const FIRST_MINOR = 18;

/** Whether an Envoy verifies its peers by its SPIFFE validator. Inventory C124. */
export function usesSpiffeValidator(node: Node | undefined, { disableSpiffeCertValidation }: SdsConfig): boolean {
  return !disableSpiffeCertValidation && !isDisabledBy(node) && hasValidator(node);
}

function isDisabledBy(node: Node | undefined): boolean {
  const value: unknown = node?.metadata?.[METADATA_KEY];
  return value === true || value === 'true';
}

function hasValidator(node: Node | undefined): boolean {
  if (node?.userAgentVersionType?.$case !== 'userAgentBuildVersion') return false;
  const { majorNumber = 0, minorNumber = 0 } = node.userAgentVersionType.value.version ?? {};
  return majorNumber > FIRST_MAJOR || (majorNumber === FIRST_MAJOR && minorNumber >= FIRST_MINOR);
}
