/**
 * Says on stderr what takes time, a line a step: the title when it starts, the time when it ends. Standard output belongs to
 * whatever runs after set-up.
 *
 * @template T
 * @param {string} title
 * @param {() => Promise<T>} work
 * @returns {Promise<T>}
 */
export async function showProgress(title, work) {
  const start = Date.now();
  process.stderr.write(`set-up: ${title} …`);
  try {
    const result = await work();
    process.stderr.write(` ${((Date.now() - start) / 1000).toFixed(1)} s\n`);
    return result;
  } catch (error) {
    process.stderr.write(' failed\n');
    throw error;
  }
}
