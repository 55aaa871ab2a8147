import { servePlugin } from '../../plugin-sdk/index.ts';
import { tpmKeyManager } from './key-manager.ts';

await servePlugin(tpmKeyManager('server'));
