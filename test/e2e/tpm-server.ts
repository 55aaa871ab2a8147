import { TestServer } from '../harness/running-server.ts';
import { createTemporaryFolder } from '../harness/temporary-folder.ts';

/**
 * A server that attests by TPM, in a folder of its own; both end with `resources`.
 *
 * @param trust lines of the attestor's configuration
 */
export async function tpmServer(resources: AsyncDisposableStack, trust: string): Promise<TestServer> {
  const folder = resources.use(await createTemporaryFolder());
  const plugins = `KeyManager "memory" {}\n  NodeAttestor "tpm" {\n plugin_data {\n ${trust}\n }\n }`;
  return resources.use(await TestServer.start({ folder: folder.path, plugins }));
}
