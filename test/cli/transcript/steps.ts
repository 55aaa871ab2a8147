/** One command of the transcript. `{NAME}` in an argument stands for what an earlier step captured. */
export interface Step {
  /** What is said before it, in a line of its own. */
  readonly says?: string;
  readonly args: readonly string[];
  readonly input?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly capture?: Readonly<Record<string, RegExp>>;
  /** Before the command: an agent joins with this token. */
  readonly attest?: string;
}

export interface Section {
  readonly title: string;
  readonly steps: readonly Step[];
}

const server = (...args: string[]): Step => ({ args: ['server', ...args] });
const NODE = 'spiffe://example.org/node';
const AGENT = 'spiffe://example.org/spire/agent/join_token';
const CHECK = '00000000-0000-0000-0000-000000000000';
const ID = 'Entry ID\\s+: (\\S+)';

/** Every command of `assayer server`, on a server that has just begun. */
export const SECTIONS: readonly Section[] = [
  {
    title: 'The server',
    steps: [
      {
        ...server('validate', '-config', 'server.conf'),
        says: 'Before it runs; `server run -config server.conf` then runs it.',
      },
      { ...server('validate', '-config', 'wrong.conf'), says: 'All mistakes are told at once.' },
      server('healthcheck'),
      {
        ...server('healthcheck', '-instance', 'nobody', '-verbose'),
        says: 'Of several servers on a host, one is named by `-instance`.',
        env: { SPIRE_SERVER_PRIVATE_SOCKET: '', SPIRE_SERVER_PRIVATE_SOCKET_TEMPLATE: '{FOLDER}/%i.sock' },
      },
      {
        ...server('healthcheck', '-instance', 'admin'),
        env: { SPIRE_SERVER_PRIVATE_SOCKET: '', SPIRE_SERVER_PRIVATE_SOCKET_TEMPLATE: '{FOLDER}/%i.sock' },
      },
    ],
  },
  {
    title: 'Join tokens and agents',
    steps: [
      server('token', 'generate', '-output', 'json'),
      server('token', 'generate', '-ttl', '0'),
      { ...server('agent', 'count'), attest: 'first' },
      { ...server('agent', 'list'), attest: 'second' },
      server('agent', 'list', '-attestationType', 'tpm'),
      server('agent', 'list', '-banned', 'true', '-output', 'json'),
      server('agent', 'count', '-canReattest=false'),
      server('agent', 'show', '-spiffeID', `${AGENT}/first`),
      server('agent', 'show', '-spiffeID', `${AGENT}/nobody`),
      server('agent', 'ban', '-spiffeID', `${AGENT}/second`),
      server('agent', 'list', '-banned', 'true'),
      server('agent', 'evict', '-spiffeID', `${AGENT}/second`),
      {
        ...server('agent', 'purge', '-dryRun'),
        says: 'Agents whose SVID expired a month ago, and that attest again by themselves.',
      },
      server('agent', 'purge', '-expiredFor', '1h'),
      server('agent', 'attempts'),
      server('agent', 'history', '-spiffeID', `${AGENT}/first`),
    ],
  },
  {
    title: 'Registration entries',
    steps: [
      {
        ...server(
          'entry',
          'create',
          '-parentID',
          NODE,
          '-spiffeID',
          'spiffe://example.org/web',
          '-selector',
          'unix:uid:1000',
          '-hint',
          'web',
          '-dns',
          'web.example.org',
          '-x509SVIDTTL',
          '600',
        ),
        capture: { WEB: new RegExp(ID) },
      },
      server(
        'entry',
        'create',
        '-parentID',
        NODE,
        '-spiffeID',
        'spiffe://example.org/web',
        '-selector',
        'unix:uid:1000',
      ),
      {
        ...server('entry', 'create', '-node', '-spiffeID', NODE, '-selector', 'tpm:pub_hash:1d3f'),
        says: 'An entry for nodes: an alias of every agent with these selectors.',
      },
      {
        ...server(
          'entry',
          'create',
          '-entryID',
          'store-1',
          '-parentID',
          NODE,
          '-spiffeID',
          'spiffe://example.org/stored',
          '-selector',
          'vault:path:a',
          '-storeSVID',
        ),
      },
      {
        ...server('entry', 'create', '-data', 'entries.json'),
        says: 'From a file, or with `-data -` from standard input.',
      },
      {
        ...server('entry', 'create', '-data', '-', '-output', 'json'),
        input:
          '{"entries":[{"spiffe_id":"spiffe://example.org/cron","parent_id":"spiffe://example.org/node","selectors":[{"type":"unix","value":"uid:7"}]}]}',
      },
      server('entry', 'create', '-spiffeID', 'spiffe://example.org/web'),
      server('entry', 'create', '-parentID', NODE, '-spiffeID', 'spiffe://other.test/web', '-selector', 'unix:uid:1'),
      server('entry', 'show', '-entryID', '{WEB}'),
      server('entry', 'show', '-selector', 'unix:uid:1000', '-matchSelectorsOn', 'exact'),
      server('entry', 'show', '-spiffeID', 'spiffe://example.org/nobody'),
      server(
        'entry',
        'update',
        '-entryID',
        '{WEB}',
        '-parentID',
        NODE,
        '-spiffeID',
        'spiffe://example.org/web',
        '-selector',
        'unix:uid:1001',
        '-hint',
        'new',
      ),
      server(
        'entry',
        'update',
        '-entryID',
        'none',
        '-parentID',
        NODE,
        '-spiffeID',
        'spiffe://example.org/web',
        '-selector',
        'unix:uid:1',
      ),
      server('entry', 'count'),
      server('entry', 'count', '-hint', 'new', '-output', 'json'),
      server('entry', 'explain', '-spiffeID', 'spiffe://example.org/web'),
      server('entry', 'apply', '-f', 'entries.yaml'),
      server('entry', 'apply', '-f', 'entries.yaml'),
      server('entry', 'delete', '-entryID', '{WEB}'),
      { ...server('entry', 'delete', '-file', '-'), input: '{"ids":["store-1","none"]}' },
      server('entry', 'delete', '-entryID', CHECK),
    ],
  },
  {
    title: 'Bundles',
    steps: [
      server('bundle', 'show'),
      server('bundle', 'show', '-format', 'spiffe'),
      { ...server('bundle', 'set', '-id', 'spiffe://partner.test', '-path', 'partner.pem') },
      server('bundle', 'list'),
      server('bundle', 'count'),
      server('bundle', 'delete', '-id', 'spiffe://partner.test', '-mode', 'dissociate'),
      server('bundle', 'delete', '-id', 'spiffe://partner.test'),
    ],
  },
  {
    title: 'Federation',
    steps: [
      server(
        'federation',
        'create',
        '-trustDomain',
        'partner.test',
        '-bundleEndpointURL',
        'https://127.0.0.1:1/bundle',
        '-bundleEndpointProfile',
        'https_web',
      ),
      server('federation', 'list'),
      server('federation', 'show', '-trustDomain', 'partner.test'),
      server(
        'federation',
        'update',
        '-trustDomain',
        'partner.test',
        '-bundleEndpointURL',
        'https://127.0.0.1:1/other',
        '-bundleEndpointProfile',
        'https_web',
      ),
      server('federation', 'refresh', '-id', 'nobody.test'),
      server('federation', 'delete', '-id', 'partner.test'),
      server('federation', 'delete', '-id', 'partner.test'),
    ],
  },
  {
    title: 'SVIDs without an entry',
    steps: [
      server('x509', 'mint', '-spiffeID', 'spiffe://example.org/minted', '-dns', 'minted.example.org', '-ttl', '1h'),
      server('x509', 'mint', '-spiffeID', 'spiffe://example.org/minted', '-write', '.'),
      server('x509', 'mint', '-spiffeID', 'spiffe://other.test/minted'),
      server('jwt', 'mint', '-spiffeID', 'spiffe://example.org/minted', '-audience', 'api'),
      server(
        'jwt',
        'mint',
        '-spiffeID',
        'spiffe://example.org/minted',
        '-audience',
        'api',
        '-ttl',
        '1m',
        '-write',
        'token',
      ),
      server('jwt', 'mint', '-spiffeID', 'spiffe://example.org/minted'),
    ],
  },
  {
    title: 'Authorities',
    steps: [
      server('localauthority', 'x509', 'show'),
      { ...server('localauthority', 'x509', 'prepare'), capture: { X509: /Authority ID: (\S+)/ } },
      server('localauthority', 'x509', 'activate', '-authorityID', '{X509}'),
      { ...server('localauthority', 'x509', 'show'), capture: { OLD: /Old X\.509 authority:\s+Authority ID: (\S+)/ } },
      server('localauthority', 'x509', 'taint', '-authorityID', '{OLD}'),
      server('localauthority', 'x509', 'revoke', '-authorityID', '{OLD}'),
      {
        ...server('localauthority', 'jwt', 'show'),
        capture: { JWTOLD: /Active JWT authority:\s+Authority ID: (\S+)/ },
      },
      { ...server('localauthority', 'jwt', 'prepare'), capture: { JWT: /Authority ID: (\S+)/ } },
      server('localauthority', 'jwt', 'activate', '-authorityID', '{JWT}'),
      server('localauthority', 'jwt', 'taint', '-authorityID', '{JWTOLD}'),
      server('localauthority', 'jwt', 'revoke', '-authorityID', '{JWTOLD}'),
      server('upstreamauthority', 'taint', '-subjectKeyID', '0123456789abcdef0123456789abcdef01234567'),
      server('upstreamauthority', 'revoke', '-subjectKeyID', '0123456789abcdef0123456789abcdef01234567'),
    ],
  },
  {
    title: 'The running server',
    steps: [
      server('logger', 'get'),
      server('logger', 'set', '-level', 'warn'),
      server('logger', 'set', '-level', 'loud'),
      server('logger', 'reset'),
      server('debug', 'getinfo'),
      server('plugin', 'list'),
      server('plugin', 'reload', 'memory'),
      server('datastore', 'backup', '-output', 'backup.sqlite3'),
    ],
  },
  {
    title: 'What there is not',
    steps: [server('entry', 'show', '-spifeID', 'spiffe://example.org/web'), server('entri', 'show')],
  },
];
