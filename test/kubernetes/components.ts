import { join } from 'node:path';

/** The path of a program of Kubernetes, which `npm run test:k8s` has built. */
export function kubernetesProgram(name: 'kubelet' | 'kube-apiserver'): string {
  const folder = process.env.ASSAYER_TEST_KUBERNETES;
  if (folder === undefined) throw new Error('these tests are run by "npm run test:k8s", which builds Kubernetes');
  return join(folder, name);
}
