/** Google's own libraries take the path of a service account's key from there. */
export const CREDENTIALS_VARIABLE = 'GOOGLE_APPLICATION_CREDENTIALS';
