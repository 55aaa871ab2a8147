import { readFileSync } from 'node:fs';

/** What a real kubelet answered; test/vectors/kubelet/SOURCE says which. */
export const RECORDED_PODS = readFileSync(new URL('../../vectors/kubelet/pods.json', import.meta.url), 'utf8');
