/** A connection of its own that is told of notifications, made again whenever it breaks. */
import type { Client } from 'pg';

const PAUSE_MS = 1_000;

/** What a listener is told. */
export interface NotificationListener {
  /** Each notification of the channel. */
  readonly onNotification: (payload: string) => void;
  /** It listens, now or again: what was told before is lost. */
  readonly onListening: () => void;
}

/** Listens to a channel on connections that `connect` makes, one after the other. Returns what ends it. */
export function listenAgain(
  channel: string,
  listener: NotificationListener,
  connect: () => Promise<Client>,
): () => void {
  let current: Client | undefined;
  let timer: NodeJS.Timeout | undefined;
  let isOver = false;
  const later = (): void => {
    if (!isOver) timer = setTimeout(() => void begin(), PAUSE_MS).unref();
  };
  const begin = async (): Promise<void> => {
    const client = await connect().catch(() => undefined);
    if (client === undefined) return later();
    if (isOver) return void client.end().catch(() => {});
    current = client;
    client.on('notification', ({ payload = '' }) => listener.onNotification(payload));
    client.once('end', later);
    client.on('error', () => void client.end().catch(() => {}));
    try {
      await client.query(`LISTEN ${channel}`);
      listener.onListening();
    } catch {
      void client.end().catch(() => {});
    }
  };
  void begin();
  return () => {
    isOver = true;
    clearTimeout(timer);
    void current?.end().catch(() => {});
  };
}
