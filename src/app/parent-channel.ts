/**
 * How `exec` tells the server it started that it is supervised.
 */

/** Set in the server's environment: it ends with its IPC channel. Others who start it with one may let it live on. */
export const SUPERVISED_VARIABLE = 'BEDROCK_PROXY_SUPERVISED';
