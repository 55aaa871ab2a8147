import { servePlugin } from '../../plugin-sdk/index.ts';
import { configMapBundlePublisher } from './bundle-publisher.ts';

await servePlugin(configMapBundlePublisher);
