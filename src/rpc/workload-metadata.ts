/** Source: SPIFFE Workload Endpoint §6, the header that tells a workload from a request that was forged through one. */
export const WORKLOAD_METADATA = { 'workload.spiffe.io': 'true' };
