import { randomInt } from 'node:crypto';
import { afterEach, expect, test, vi } from 'vitest';
import {
  encodeFrame,
  type Frame,
  FrameReader,
  FrameType,
  MAX_FRAME_BYTES,
  PREFACE,
} from '../../../src/rpc/any-authority/frames.ts';

afterEach(() => void vi.restoreAllMocks());

const sent = [0, 1, 300, MAX_FRAME_BYTES, 0, 17].map((length, id) =>
  encodeFrame(FrameType.Data, 0, id, Buffer.alloc(length, id)),
);

function read(bytes: Buffer, nextLength: () => number): readonly Frame[] {
  const reader = new FrameReader();
  const frames: Frame[] = [];
  for (let at = 0; at < bytes.length; ) {
    const length = nextLength();
    reader.push(bytes.subarray(at, at + length));
    at += length;
    if (!reader.readPreface()) continue;
    for (let frame = reader.next(); frame !== undefined; frame = reader.next()) frames.push(frame);
  }
  expect(reader.rest).toHaveLength(0);
  return frames;
}

test.each([
  ['at once', () => 100_000],
  ['byte by byte', () => 1],
  ['in pieces of any length', () => randomInt(700)],
])('frames are the same when they come %s', (_how, nextLength) => {
  const frames = read(Buffer.concat([PREFACE, ...sent]), nextLength);
  expect(frames.map(({ bytes }) => bytes.toString('hex'))).toEqual(sent.map((bytes) => bytes.toString('hex')));
});

test('a frame that comes byte by byte is not copied for each of them', () => {
  const bytes = Buffer.concat([PREFACE, encodeFrame(FrameType.Data, 0, 1, Buffer.alloc(MAX_FRAME_BYTES))]);
  const concat = vi.spyOn(Buffer, 'concat');
  expect(read(bytes, () => 1)).toHaveLength(1);
  const copied = concat.mock.results.reduce((sum, { value }) => sum + value.length, 0);
  expect(copied).toBeLessThan(64 * MAX_FRAME_BYTES);
});
