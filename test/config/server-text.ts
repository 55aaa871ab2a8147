/** The plugins that a server cannot be without. */
export const PLUGINS = `
plugins {
  DataStore "sql" {
    plugin_data { database_type = "sqlite3", connection_string = "d.sqlite3" }
  }
  KeyManager "memory" {}
}`;

/** A server with what is required, and more lines. */
export const serverText = (lines = '', plugins = PLUGINS) =>
  `server {\n trust_domain = "example.org"\n data_dir = "d"\n${lines}\n}\n${plugins}`;
