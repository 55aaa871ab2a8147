import { servePlugin } from '../../plugin-sdk/index.ts';
import { pkcs11KeyManager } from './key-manager.ts';

await servePlugin(pkcs11KeyManager('server'));
