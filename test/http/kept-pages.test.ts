import t from 'tap';
import { KeptPages } from '../../core/http/pages/kept-pages.ts';

t.test('a page is made once for all who ask, until something happens', async (t) => {
  const pages = new KeptPages<number>(60_000);
  let made = 0;
  const make = async (): Promise<number> => {
    await Promise.resolve();
    made += 1;
    return made;
  };
  t.strictSame(await Promise.all([pages.page('/', make), pages.page('/', make)]), [1, 1]);
  t.equal(await pages.page('/jobs', make), 2, 'another page is another');
  pages.forget();
  t.equal(await pages.page('/', make), 3);
});

t.test('an error is told to all who wait, and tried anew by the next', async (t) => {
  const pages = new KeptPages<string>(60_000);
  const fail = async (): Promise<string> => {
    await Promise.resolve();
    throw new Error('no');
  };
  const both = await Promise.allSettled([pages.page('/', fail), pages.page('/', fail)]);
  t.strictSame(
    both.map(({ status }) => status),
    ['rejected', 'rejected'],
  );
  t.equal(await pages.page('/', async () => 'yes'), 'yes');
});

t.test('with no time to keep it, each is made anew', async (t) => {
  const pages = new KeptPages<number>(0);
  let made = 0;
  const make = async (): Promise<number> => ++made;
  await pages.page('/', make);
  t.equal(await pages.page('/', make), 2);
});

t.test('pages past their time go when another is made', async (t) => {
  const pages = new KeptPages<string>(50);
  const make = async (): Promise<string> => 'a page';
  for (let i = 0; i < 20; i++) await pages.page(`/events?q=${i}`, make);
  t.ok(pages.size > 0);
  await new Promise((resolve) => setTimeout(resolve, 100));
  await pages.page('/', make);
  t.equal(pages.size, 1);
});
