/** The variables PG*, which say what the URL of a PostgreSQL database does not: as for every program of PostgreSQL. */
import type { Environment } from './options.ts';

/** By the parameter of a URL that they stand in for. */
const PARAMETERS: Readonly<Record<string, string>> = {
  host: 'PGHOST',
  port: 'PGPORT',
  dbname: 'PGDATABASE',
  user: 'PGUSER',
  password: 'PGPASSWORD',
  passfile: 'PGPASSFILE',
  sslmode: 'PGSSLMODE',
  sslrootcert: 'PGSSLROOTCERT',
  sslcert: 'PGSSLCERT',
  sslkey: 'PGSSLKEY',
  application_name: 'PGAPPNAME',
  options: 'PGOPTIONS',
  connect_timeout: 'PGCONNECT_TIMEOUT',
  target_session_attrs: 'PGTARGETSESSIONATTRS',
  channel_binding: 'PGCHANNELBINDING',
};

/** The URL with what the variables add to it. A parameter that it has stays, and its user, host and name win. */
export function addPostgresVariables(url: string, environment: Environment): string {
  const given = new URLSearchParams(url.split('?').slice(1).join('?'));
  const added = Object.entries(PARAMETERS).flatMap(([parameter, variable]) => {
    const value = environment[variable] ?? '';
    return value === '' || given.has(parameter) ? [] : [`${parameter}=${encodeURIComponent(value)}`];
  });
  return added.length === 0 ? url : `${url}${url.includes('?') ? '&' : '?'}${added.join('&')}`;
}
