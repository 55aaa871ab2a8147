import { create, createFileRegistry, fromBinary } from '@bufbuild/protobuf';
import { FileDescriptorProtoSchema, FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';
import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  ServerReflectionDefinition,
  type ServerReflectionRequest,
  type ServerReflectionResponse,
} from '../../src/gen/grpc/reflection/v1/reflection.ts';
import { ServerReflectionDefinition as AlphaDefinition } from '../../src/gen/grpc/reflection/v1alpha/reflection.ts';
import { Status } from '../../src/spiffe/status.ts';
import { TestServer } from '../harness/running-server.ts';
import { createTemporaryFolder } from '../harness/temporary-folder.ts';
import { TlsCaller } from './callers.ts';

const resources = new AsyncDisposableStack();
let server: TestServer;
beforeAll(async () => {
  const folder = resources.use(await createTemporaryFolder());
  server = resources.use(await TestServer.start({ folder: folder.path }));
});
afterAll(() => resources.disposeAsync());

type Question = ServerReflectionRequest['messageRequest'];
async function ask(question: Question, definition = ServerReflectionDefinition): Promise<ServerReflectionResponse> {
  await using call = server.admin(definition).serverReflectionInfo();
  await call.send({ host: 'any', messageRequest: question });
  const answer = await call.receive();
  if (answer === undefined) throw new Error('no answer');
  return answer;
}
async function servicesBy(definition = ServerReflectionDefinition): Promise<readonly string[]> {
  const { messageResponse } = await ask({ $case: 'listServices', value: '' }, definition);
  if (messageResponse?.$case !== 'listServicesResponse') throw new Error(`${messageResponse?.$case}`);
  return messageResponse.value.service.map(({ name }) => name);
}

test('lists every service, by both versions', async () => {
  const names = await servicesBy();
  expect(names).toContain('spire.api.server.entry.v1.Entry');
  expect(names).toEqual(names.toSorted());
  expect(await servicesBy(AlphaDefinition as unknown as typeof ServerReflectionDefinition)).toEqual(names);
});

test('describes each of them whole: a registry can be made of the answer', async () => {
  for (const name of await servicesBy()) {
    const { messageResponse } = await ask({ $case: 'fileContainingSymbol', value: name });
    if (messageResponse?.$case !== 'fileDescriptorResponse') throw new Error(`${name}: ${messageResponse?.$case}`);
    const file = messageResponse.value.fileDescriptorProto.map((bytes) => fromBinary(FileDescriptorProtoSchema, bytes));
    const registry = createFileRegistry(create(FileDescriptorSetSchema, { file: file.toReversed() }));
    expect(registry.getService(name)?.methods.length).toBeGreaterThan(0);
  }
});

const notFound = { $case: 'errorResponse', value: expect.objectContaining({ errorCode: Status.NotFound }) };
const files = { $case: 'fileDescriptorResponse', value: expect.anything() };
test.each<[string, Question, unknown]>([
  ['a file', { $case: 'fileByFilename', value: 'spire/api/types/types.proto' }, files],
  ['a method', { $case: 'fileContainingSymbol', value: 'grpc.health.v1.Health.Check' }, files],
  [
    'a message inside of another',
    { $case: 'fileContainingSymbol', value: 'grpc.health.v1.HealthCheckResponse.ServingStatus' },
    files,
  ],
  ['an unknown file', { $case: 'fileByFilename', value: '../../etc/passwd' }, notFound],
  ['an unknown symbol', { $case: 'fileContainingSymbol', value: '__proto__' }, notFound],
  ['an extension', { $case: 'fileContainingExtension', value: { containingType: 'a', extensionNumber: 1 } }, notFound],
  ['numbers of extensions', { $case: 'allExtensionNumbersOfType', value: 'a' }, notFound],
  [
    'nothing',
    undefined,
    { $case: 'errorResponse', value: expect.objectContaining({ errorCode: Status.InvalidArgument }) },
  ],
])('asked for %s', async (_what, question, expected) => {
  const { messageResponse, originalRequest, validHost } = await ask(question);
  expect(messageResponse).toEqual(expected);
  expect(originalRequest?.messageRequest).toEqual(question);
  expect(validHost).toBe('any');
});

test('is for the admin socket alone', async () => {
  using stranger = new TlsCaller(server);
  await using call = stranger.client(ServerReflectionDefinition).serverReflectionInfo();
  await call.send({ host: '', messageRequest: { $case: 'listServices', value: '' } });
  await expect(call.receive()).rejects.toMatchObject({ status: Status.PermissionDenied });
});
