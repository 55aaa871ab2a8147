const SERVICE_ACCOUNT_FOLDER = '/run/secrets/kubernetes.io/serviceaccount';

/** Inventory P016. */
export const DEFAULTS = {
  securePort: 10250,
  caPath: `${SERVICE_ACCOUNT_FOLDER}/ca.crt`,
  tokenPath: `${SERVICE_ACCOUNT_FOLDER}/token`,
  nodeNameVariable: 'MY_NODE_NAME',
  attempts: 60,
  retryIntervalMs: 500,
  reloadIntervalMs: 60_000,
};
