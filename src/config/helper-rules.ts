import type { RawHelperConfig } from './helper-config.ts';

interface Problem {
  readonly path: string;
  readonly message: string;
}

/** What is wrong between keys that are right one by one. */
export function findHelperProblems(raw: RawHelperConfig): readonly Problem[] {
  return [...fileProblems(raw), ...nameProblems(raw), ...reloadProblems(raw), ...healthProblems(raw)];
}

function fileProblems(raw: RawHelperConfig): readonly Problem[] {
  const keys = ['svid_file_name', 'svid_key_file_name', 'svid_bundle_file_name'] as const;
  const missing = keys.filter((key) => raw[key] === undefined);
  if (missing.length > 0 && missing.length < keys.length) {
    return missing.map((path) => ({ path, message: 'is required where one of the other two X.509 files is named' }));
  }
  const hasJwt = raw.jwt_svids.length > 0 || raw.jwt_bundle_file_name !== undefined || raw.jwks_file_name !== undefined;
  if (missing.length === 0 || hasJwt) return [];
  const message = `no file is named: give ${keys.join(', ')}; or jwt_svids, jwt_bundle_file_name or jwks_file_name`;
  return [{ path: '', message }];
}

/** A certificate and its key may share a file: it is replaced as one. */
function nameProblems(raw: RawHelperConfig): readonly Problem[] {
  const named = [
    ['svid_file_name', raw.svid_file_name],
    ...(raw.svid_key_file_name === raw.svid_file_name ? [] : [['svid_key_file_name', raw.svid_key_file_name] as const]),
    ['svid_bundle_file_name', raw.svid_bundle_file_name],
    ...raw.jwt_svids.map((jwt, index) => [`jwt_svids[${index}].jwt_svid_file_name`, jwt.jwt_svid_file_name] as const),
    ['jwt_bundle_file_name', raw.jwt_bundle_file_name],
    ['jwks_file_name', raw.jwks_file_name],
  ] as const;
  return named.flatMap(([path, name], index) => {
    const [other] = named.slice(0, index).find(([, before]) => name !== undefined && before === name) ?? [];
    return other === undefined ? [] : [{ path, message: `names the same file as ${other}: ${JSON.stringify(name)}` }];
  });
}

function reloadProblems(raw: RawHelperConfig): readonly Problem[] {
  const { reload, renew_signal, pid_file_name, reload_socket, reload_defaults_file, svid_file_name } = raw;
  const problems: Problem[] = [];
  const add = (path: string, message: string) => problems.push({ path, message });
  if (pid_file_name !== undefined && renew_signal === undefined && reload === undefined) {
    add('pid_file_name', 'needs renew_signal, or reload with the kind of the server');
  }
  if (reload !== undefined && svid_file_name === undefined) {
    add('reload', 'needs the X.509 files: they are what the server reads again');
  }
  if (reload !== undefined && reload !== 'mariadb' && pid_file_name === undefined) {
    add('pid_file_name', `is required by reload = "${reload}": the file in which the server keeps its process id`);
  }
  if (reload === 'mariadb' && pid_file_name !== undefined && renew_signal === undefined) {
    add('pid_file_name', 'is not used by reload = "mariadb", which asks over reload_socket: remove it');
  }
  if (reload !== undefined && reload !== 'mariadb' && renew_signal !== undefined && raw.cmd === undefined) {
    add('renew_signal', `is chosen by reload = "${reload}": remove one of them`);
  }
  for (const [path, value] of Object.entries({ reload_socket, reload_defaults_file })) {
    if (value !== undefined && reload !== 'mariadb') add(path, 'is for reload = "mariadb" alone: remove it');
  }
  return problems;
}

function healthProblems({ health_checks: health }: RawHelperConfig): readonly Problem[] {
  const paths = Object.entries({ liveness_path: health.liveness_path, readiness_path: health.readiness_path });
  const problems = paths.flatMap(([key, path]) =>
    path === undefined || /^\/[^\s?#]*$/.test(path)
      ? []
      : [{ path: `health_checks.${key}`, message: 'must be the path of a URL, such as "/live"' }],
  );
  if ((health.liveness_path ?? '/live') !== (health.readiness_path ?? '/ready')) return problems;
  return [
    ...problems,
    { path: 'health_checks.readiness_path', message: 'must differ from liveness_path, which it is' },
  ];
}
