/**
 * How a server knows who started it: `exec`, or `start --background`.
 */

/** Set in the server's environment: it ends with its IPC channel. Others who start it with one may let it live on. */
export const SUPERVISED_VARIABLE = 'BEDROCK_PROXY_SUPERVISED';
/** The same for a server in the background: the file that its output goes to. It lives on. */
export const BACKGROUND_VARIABLE = 'BEDROCK_PROXY_BACKGROUND_LOG';
