import { OpenSslFolder } from '../x509/openssl.ts';

export interface MadeCa {
  readonly name: string;
  readonly certificate: string;
  readonly key: string;
}

export interface CaOptions {
  /** Arguments of `openssl genpkey`. */
  readonly key?: readonly string[];
  readonly extensions?: readonly string[];
}

const P256 = ['-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256'];
const CA = ['basicConstraints = critical, CA:TRUE', 'keyUsage = critical, keyCertSign, cRLSign'];

/** CAs of the openssl command line, as an administrator makes them. */
export class AuthorityFolder extends OpenSslFolder {
  root(name: string, options: CaOptions = {}): MadeCa {
    return this.#make(name, options, ['-x509']);
  }

  below(issuer: MadeCa, name: string, options: CaOptions = {}): MadeCa {
    return this.#make(name, options, ['-x509', '-CA', issuer.certificate, '-CAkey', issuer.key]);
  }

  #make(name: string, { key = P256, extensions = CA }: CaOptions, how: readonly string[]): MadeCa {
    const config = this.write(
      `${name}.cnf`,
      ['[req]', 'distinguished_name = dn', '[dn]', '[ext]', 'subjectKeyIdentifier = hash', ...extensions, ''].join(
        '\n',
      ),
    );
    this.run('genpkey', ...key, '-out', `${name}.key`);
    const subject = ['-subj', `/O=${name}`, '-config', config, '-extensions', 'ext'];
    this.run('req', '-new', ...how, '-key', `${name}.key`, '-days', '30', ...subject, '-out', `${name}.pem`);
    return { name, certificate: `${this.path}/${name}.pem`, key: `${this.path}/${name}.key` };
  }
}
