// A program of its own in dist: no command but a server with ACME has to load it.
export { axios, Client, crypto } from 'acme-client';
