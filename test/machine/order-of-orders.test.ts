import t from 'tap';
import { type OrderMark, OrderOfOrders } from '../../core/machine/records/order-of-orders.ts';

const mark = (epoch: number, serial: number | null = null): OrderMark => ({ epoch, serial });

t.test('an order that was overtaken by the removal of its copy is refused', async (t) => {
  const orders = new OrderOfOrders();
  orders.put('web.1', mark(7, 1));
  orders.remove('web.1', mark(7, 3));
  for (const late of [mark(7, 2), mark(7)])
    t.throws(() => orders.put('web.1', late), {
      code: 'conflict',
      message: /"web\.1" was removed by the same cluster sitter/,
    });
  orders.put('web.2', mark(7, 2));
  orders.put('web.1', null);
});

t.test('an order that was overtaken by a newer one is refused; the same again is not', async (t) => {
  const orders = new OrderOfOrders();
  orders.put('web.1', mark(7, 5));
  orders.put('web.1', mark(7, 5));
  t.throws(() => orders.put('web.1', mark(7, 4)), { code: 'conflict', message: /a newer order for "web\.1"/ });
  orders.put('web.2', mark(7, 4));
  orders.put('web.1', mark(7));
  orders.put('web.1', null);
  orders.put('web.1', mark(8, 1));
});

t.test('what a person removes may come again', async () => {
  const orders = new OrderOfOrders();
  orders.remove('web.1', null);
  orders.put('web.1', mark(7));
});

t.test('with a new leader all is forgotten, and the newest of very many are kept', async (t) => {
  const orders = new OrderOfOrders();
  orders.remove('web.0', mark(7));
  orders.put('web.0', mark(8));
  for (let n = 0; n < 10_001; n++) orders.remove(`web.${n}`, mark(8));
  orders.put('web.0', mark(8));
  t.throws(() => orders.put('web.1', mark(8)));
  for (let n = 0; n < 10_001; n++) orders.put(`api.${n}`, mark(8, 9));
  orders.put('api.0', mark(8, 1));
  t.throws(() => orders.put('api.2', mark(8, 1)));
});
