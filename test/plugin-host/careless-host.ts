import { pluginConfig, SQL, TestHost } from './go-plugins.ts';

// A host that loads the key manager named by its argument, says its process ID, and ends without stopping it.
const [command = ''] = process.argv.slice(2);
const catalog = await new TestHost().load('server', [SQL, pluginConfig({ type: 'KeyManager', name: 'km', command })]);
process.stdout.write(`${catalog.plugins[0]?.pid}\n`, () => process.exit(0));
