import { servePlugin } from '../../plugin-sdk/index.ts';
import { diskKeyManager } from './key-manager.ts';

await servePlugin(diskKeyManager('server'));
