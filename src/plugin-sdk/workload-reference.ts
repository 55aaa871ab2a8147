import { KubernetesObjectReference, WorkloadPIDReference } from '../gen/spiffe/broker/broker.ts';
import { REFERENCE_TYPES } from '../rpc/go-plugin.ts';
import { SpiffeError } from '../spiffe/error.ts';

/** How somebody says which workload is meant. */
export type WorkloadReference =
  | { readonly kind: 'process'; readonly pid: number }
  | {
      readonly kind: 'kubernetes-object';
      /** Of the resource: in lower case, as in a URL of the API server; the core group is empty. */
      readonly resource: { readonly plural: string; readonly group: string };
      readonly namespace: string;
      readonly name: string;
      readonly uid: string;
    }
  /** A message that this SDK does not know. */
  | { readonly kind: 'other'; readonly typeUrl: string; readonly value: Uint8Array };

interface PackedReference {
  readonly typeUrl: string;
  readonly value: Uint8Array;
}

/** @throws SpiffeError `ARGUMENT_INVALID` without a reference, or for one that does not parse */
export function unpackReference(packed: PackedReference | undefined): WorkloadReference {
  if (packed === undefined) throw new SpiffeError('ARGUMENT_INVALID', 'the reference is missing');
  try {
    return unpack(packed);
  } catch (cause) {
    throw new SpiffeError('ARGUMENT_INVALID', `the reference of type ${packed.typeUrl} does not parse`, { cause });
  }
}

function unpack({ typeUrl, value }: PackedReference): WorkloadReference {
  switch (typeUrl) {
    case REFERENCE_TYPES.process:
      return { kind: 'process', pid: WorkloadPIDReference.decode(value).pid };
    case REFERENCE_TYPES.kubernetesObject: {
      const { type, key, uid } = KubernetesObjectReference.decode(value);
      const resource = { plural: type?.plural ?? '', group: type?.group ?? '' };
      return { kind: 'kubernetes-object', resource, namespace: key?.namespace ?? '', name: key?.name ?? '', uid };
    }
    default:
      return { kind: 'other', typeUrl, value };
  }
}
