/**
 * How much of the machine request bodies may take, from what it says of itself. Pure; `readDisk` looks at a folder.
 */
import { statfsSync } from 'node:fs';

/** What all request bodies together may hold in memory, and the part of all memory that they may if that is less. */
const MAX_MEMORY_BYTES = 256 * 1024 * 1024;
const MEMORY_PART = 1 / 8;
/** What they may hold on disk, and the part of its free room if that is less. */
const MAX_DISK_BYTES = 4 * 1024 ** 3;
const DISK_PART = 3 / 4;
/** Files in memory (tmpfs, as `/tmp` often is) may take such a part of all memory. */
const MEMORY_DISK_PART = 1 / 4;
/** From Linux' magic.h: tmpfs and ramfs. */
const FILE_SYSTEMS_IN_MEMORY: ReadonlySet<number> = new Set([0x01021994, 0x858458f6]);

/** Memory, in bytes. */
export interface MemoryReading {
  /** Of the container; 0, or more than any machine has, if it has no limit. */
  readonly containerBytes: number;
  readonly machineBytes: number;
}

/** The disk that a folder is on. */
export interface DiskReading {
  readonly freeBytes: number;
  /** What lies there takes memory away. */
  readonly isMemory: boolean;
}

/** What bodies may hold in memory. */
export function findBodyMemory(memory: MemoryReading): number {
  return Math.floor(Math.min(MAX_MEMORY_BYTES, memoryOf(memory) * MEMORY_PART));
}

/** What bodies may hold on disk. `disk` undefined: it cannot be asked, and says itself when it is full. */
export function findBodyDisk(disk: DiskReading | undefined, memory: MemoryReading): number {
  if (disk === undefined) return MAX_DISK_BYTES;
  const most = disk.isMemory ? Math.min(MAX_DISK_BYTES, memoryOf(memory) * MEMORY_DISK_PART) : MAX_DISK_BYTES;
  return Math.floor(Math.min(most, disk.freeBytes * DISK_PART));
}

function memoryOf({ containerBytes, machineBytes }: MemoryReading): number {
  return containerBytes > 0 ? Math.min(containerBytes, machineBytes) : machineBytes;
}

/** The part of one of so many processes. */
export function shareDisk(disk: DiskReading | undefined, processes: number): DiskReading | undefined {
  return disk && { ...disk, freeBytes: disk.freeBytes / processes };
}

/** Undefined if it cannot be asked. */
export function readDisk(folder: string): DiskReading | undefined {
  try {
    const { bavail, bsize, type } = statfsSync(folder);
    return { freeBytes: bavail * bsize, isMemory: FILE_SYSTEMS_IN_MEMORY.has(type) };
  } catch {
    return undefined;
  }
}
