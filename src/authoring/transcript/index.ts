export type { Refusal, Verdict } from '../attestation/verdict.ts';
export { type HalfCommand, type RecordOptions, recordAttestation } from './record-attestation.ts';
export type { Difference, Divergence, Replay, ReplayedVerdict } from './replay.ts';
export { type ReplayOptions, replayAttestation } from './replay-attestation.ts';
export type { Transcript } from './transcript.ts';
export { readTranscript, requireWritable, writeTranscript } from './transcript-file.ts';
export { nameOfStatus } from './transcript-schema.ts';
