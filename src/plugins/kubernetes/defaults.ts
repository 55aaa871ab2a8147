/** Where a pod finds the token of its service account and who signs the API server's certificate. */
export const SERVICE_ACCOUNT_FOLDER = '/var/run/secrets/kubernetes.io/serviceaccount';
/** Host and port of the API server, in every pod. */
export const SERVICE_VARIABLES = ['KUBERNETES_SERVICE_HOST', 'KUBERNETES_SERVICE_PORT'] as const;
