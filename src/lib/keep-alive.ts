/** Keep-alive of TCP (RFC 9293, section 3.8.4), for every connection on either side. */

/**
 * After this silence the kernel asks whether the other end still exists. Balancers drop connections that are silent for
 * some minutes, four at least, and a client or an upstream that vanished says nothing at all.
 */
export const TCP_KEEP_ALIVE_MS = 60_000;
