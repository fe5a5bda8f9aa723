const sizes = ['B', 'kB', 'MB', 'GB', 'TB'];

/** `812 B`, `4.2 MB`, `835 MB`, `1.3 GB`: powers of 1000, as GitHub counts storage. */
export function formatBytes(bytes: number): string {
  let value = bytes;
  let unit = 0;
  // 999,950 B would be shown as 1000 kB.
  while (value >= 999.5 && unit < sizes.length - 1) {
    value /= 1000;
    unit++;
  }
  const digits = unit > 0 && value < 99.95 ? 1 : 0;
  return `${value.toFixed(digits)} ${sizes[unit]}`;
}
