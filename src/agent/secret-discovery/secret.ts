import type { DataSource } from '../../gen/envoy/config/core/v3/base.ts';
import type { CertificateValidationContext } from '../../gen/envoy/extensions/transport_sockets/tls/v3/common.ts';
import { Secret } from '../../gen/envoy/extensions/transport_sockets/tls/v3/secret.ts';
import { SPIFFECertValidatorConfig } from '../../gen/envoy/extensions/transport_sockets/tls/v3/tls_spiffe_validator_config.ts';
import type { Any } from '../../gen/google/protobuf/any.ts';
import type { Bundle } from '../../spiffe/bundle.ts';
import { formatBundlePem } from '../../spiffe/bundle-document.ts';
import { encodePem } from '../../x509/pem.ts';
import type { WorkloadX509Svid } from '../workloads/workload-x509-svid.ts';

const TLS = 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3';
export const SECRET_TYPE = `${TLS}.Secret`;

/** A certificate chain and its key, both PEM. */
export function certificateSecret(name: string, { chain, privateKey }: WorkloadX509Svid): Any {
  const certificateChain = inline(chain.map((der) => encodePem('CERTIFICATE', der)).join(''));
  const value = { certificateChain, privateKey: inline(encodePem('PRIVATE KEY', privateKey)) };
  return toAny({ name, type: { $case: 'tlsCertificate', value } });
}

/** One bundle for whatever certificate a peer shows. */
export function authoritiesSecret(name: string, bundle: Bundle): Any {
  return validationSecret(name, { trustedCa: inline(formatBundlePem(bundle)), customValidatorConfig: undefined });
}

/** Each bundle for certificates of its own trust domain alone, by Envoy's SPIFFE validator. */
export function spiffeValidatorSecret(name: string, bundles: readonly Bundle[]): Any {
  const trustDomains = bundles.map((bundle) => ({
    name: bundle.trustDomain,
    trustBundle: inline(formatBundlePem(bundle)),
  }));
  const value = SPIFFECertValidatorConfig.encode({ trustDomains }).finish();
  return validationSecret(name, {
    trustedCa: undefined,
    customValidatorConfig: {
      name: 'envoy.tls.cert_validator.spiffe',
      typedConfig: { typeUrl: `${TLS}.SPIFFECertValidatorConfig`, value },
    },
  });
}

const validationSecret = (name: string, value: CertificateValidationContext) =>
  toAny({ name, type: { $case: 'validationContext', value } });

const toAny = (secret: Secret): Any => ({ typeUrl: SECRET_TYPE, value: Secret.encode(secret).finish() });

const inline = (pem: string): DataSource => ({ specifier: { $case: 'inlineBytes', value: Buffer.from(pem) } });
