/**
 * What two streams say, as it comes, until one of them has ended or failed. Both are read one ahead. Every promise is reacted to
 * once: racing one that stays pending again and again would leave a reaction on it each time.
 */
export async function* eitherOf<A, B>(
  first: AsyncIterator<A>,
  second: AsyncIterator<B>,
): AsyncGenerator<{ readonly first: A } | { readonly second: B }> {
  const events: Event<A, B>[] = [];
  let wake = () => {};
  const tell = (event: Event<A, B>) => {
    events.push(event);
    wake();
  };
  const fail = (error: unknown) => tell({ from: 'failure', error });
  const readFirst = () => void first.next().then((result) => tell({ from: 'first', result }), fail);
  const readSecond = () => void second.next().then((result) => tell({ from: 'second', result }), fail);
  readFirst();
  readSecond();
  for (;;) {
    const event = events.shift();
    if (event === undefined) {
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
      continue;
    }
    if (event.from === 'failure') throw event.error;
    if (event.result.done) return;
    if (event.from === 'first') {
      readFirst();
      yield { first: event.result.value };
    } else {
      readSecond();
      yield { second: event.result.value };
    }
  }
}

type Event<A, B> =
  | { readonly from: 'first'; readonly result: IteratorResult<A, unknown> }
  | { readonly from: 'second'; readonly result: IteratorResult<B, unknown> }
  | { readonly from: 'failure'; readonly error: unknown };
