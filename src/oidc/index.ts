export { type OidcOptions, type RunningOidc, startOidc } from './start-oidc.ts';
