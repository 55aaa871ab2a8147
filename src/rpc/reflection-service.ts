import {
  ServerReflectionDefinition,
  type ServerReflectionRequest,
  type ServerReflectionResponse,
} from '../gen/grpc/reflection/v1/reflection.ts';
import { ServerReflectionDefinition as ServerReflectionAlphaDefinition } from '../gen/grpc/reflection/v1alpha/reflection.ts';
import { quoteText } from '../spiffe/quote-text.ts';
import { Status } from '../spiffe/status.ts';
import { DescribedFiles } from './described-files.ts';
import { type BoundService, bindService } from './service.ts';

/** gRPC reflection, as v1 and v1alpha, of `services` and of itself. */
export function reflectionServices(services: readonly BoundService[]): readonly BoundService[] {
  const names = [
    ...services.map(({ definition }) => definition.fullName),
    ServerReflectionDefinition.fullName,
    ServerReflectionAlphaDefinition.fullName,
  ].sort();
  let loading: Promise<DescribedFiles> | undefined;
  async function* answerAll(requests: AsyncIterable<ServerReflectionRequest>) {
    loading ??= DescribedFiles.load();
    const files = await loading;
    for await (const request of requests) {
      yield { validHost: request.host, originalRequest: request, messageResponse: answer(request, names, files) };
    }
  }
  return [
    bindService(ServerReflectionDefinition, { serverReflectionInfo: answerAll }),
    bindService(ServerReflectionAlphaDefinition, { serverReflectionInfo: answerAll }),
  ];
}

function answer(
  { messageRequest: question }: ServerReflectionRequest,
  names: readonly string[],
  files: DescribedFiles,
): ServerReflectionResponse['messageResponse'] {
  switch (question?.$case) {
    case 'listServices':
      return { $case: 'listServicesResponse', value: { service: names.map((name) => ({ name })) } };
    case 'fileByFilename':
      return described(files.byName(question.value), `file ${quoteText(question.value)}`);
    case 'fileContainingSymbol':
      return described(files.bySymbol(question.value), `symbol ${quoteText(question.value)}`);
    case 'fileContainingExtension':
      return described(undefined, 'extension');
    case 'allExtensionNumbersOfType':
      return described(undefined, `extension of ${quoteText(question.value)}`);
    case undefined:
      return refused(Status.InvalidArgument, 'the question is missing');
  }
}

function described(
  found: readonly Uint8Array[] | undefined,
  what: string,
): NonNullable<ServerReflectionResponse['messageResponse']> {
  if (found === undefined) return refused(Status.NotFound, `${what} is not known`);
  return { $case: 'fileDescriptorResponse', value: { fileDescriptorProto: [...found] } };
}

function refused(errorCode: Status, errorMessage: string): NonNullable<ServerReflectionResponse['messageResponse']> {
  return { $case: 'errorResponse', value: { errorCode, errorMessage } };
}
