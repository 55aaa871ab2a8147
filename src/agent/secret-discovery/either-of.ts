/** What two streams say, as it comes, until one of them has ended or failed. Both are read one ahead. */
export async function* eitherOf<A, B>(
  first: AsyncIterator<A>,
  second: AsyncIterator<B>,
): AsyncGenerator<{ readonly first: A } | { readonly second: B }> {
  const nextFirst = () => observed(first.next().then((result) => ({ from: 'first' as const, result })));
  const nextSecond = () => observed(second.next().then((result) => ({ from: 'second' as const, result })));
  let fromFirst = nextFirst();
  let fromSecond = nextSecond();
  for (;;) {
    const next = await Promise.race([fromFirst, fromSecond]);
    if (next.result.done) return;
    if (next.from === 'first') {
      fromFirst = nextFirst();
      yield { first: next.result.value };
    } else {
      fromSecond = nextSecond();
      yield { second: next.result.value };
    }
  }
}

/** A failure is seen when its turn comes, which may be never. */
function observed<Value>(promise: Promise<Value>): Promise<Value> {
  promise.catch(() => {});
  return promise;
}
