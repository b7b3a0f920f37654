'use strict';
// The page of pgguard. Everything that comes from the guard is put into the page as text, never as markup.
(() => {
  const $ = (id) => document.getElementById(id);
  const SVG = 'http://www.w3.org/2000/svg';
  const kept = { seconds: 900, minutes: 1440 };
  const step = { seconds: 1, minutes: 60 };
  const lines = [['limit', 3], ['cap', 4], ['cores', 5]];
  const FIRST = 7; // of a row: the first number of the waits

  let token = '';
  let meta = { classes: [], states: [], waits: [] };
  let rows = {}; // by database: {seconds, minutes}
  let now = null;
  let chosen = '';
  let range = 'seconds';
  let cursor = -1; // place in the rows that are drawn
  let known = new Set(); // application names that were there in the first frame

  // --- small things

  function el(tag, text, cls) {
    const e = document.createElement(tag);
    if (text !== undefined && text !== null) e.textContent = String(text);
    if (cls) e.className = cls;
    return e;
  }
  function svg(tag, attributes) {
    const e = document.createElementNS(SVG, tag);
    for (const k in attributes) e.setAttribute(k, attributes[k]);
    return e;
  }
  function say(id, text) {
    const e = $(id);
    if (e.textContent !== text) e.textContent = text;
  }
  function digits(x) {
    if (x >= 10) return Math.round(x).toString();
    if (x > 0 && x < 0.1) return x.toPrecision(2);
    return (Math.round(x * 10) / 10).toString();
  }
  function span(s) {
    if (s < 1) return digits(s * 1000) + ' ms';
    if (s < 120) return digits(s) + ' s';
    if (s < 7200) return digits(s / 60) + ' min';
    if (s < 172800) return digits(s / 3600) + ' h';
    return digits(s / 86400) + ' days';
  }
  const two = (n) => String(n).padStart(2, '0');
  function clock(unix, withSeconds) {
    const d = new Date(unix * 1000);
    return two(d.getHours()) + ':' + two(d.getMinutes()) + (withSeconds ? ':' + two(d.getSeconds()) : '');
  }
  // day is the date, unless it is today.
  function day(unix) {
    const d = new Date(unix * 1000);
    return d.toDateString() === new Date().toDateString() ? '' : d.getFullYear() + '-' + two(d.getMonth() + 1) + '-' + two(d.getDate()) + ' ';
  }
  function fill(id, list, empty, columns) {
    const body = $(id);
    const trs = list.map((cells) => {
      const tr = el('tr');
      for (const c of cells) {
        const td = el('td', c.text, c.cls);
        if (c.more) td.append(el('code', c.more, 'query'));
        tr.append(td);
      }
      return tr;
    });
    if (trs.length === 0) {
      const td = el('td', empty, 'empty');
      td.colSpan = columns;
      const tr = el('tr');
      tr.append(td);
      trs.push(tr);
    }
    body.replaceChildren(...trs);
  }
  const cell = (text, cls, more) => ({ text, cls, more });

  // --- the verdict

  const kinds = { calm: ['good', '✓'], busy: ['busy', '●'], guarding: ['warn', '▲'], shedding: ['warn', '▲'] };
  const names = {
    database_down: 'database down', guard_cpu: 'guard short of CPU', cap_reached: 'cap reached by others', slow_readers: 'clients do not read',
    locks: 'waiting for locks', idle_in_transaction: 'idle transactions hold the pool', network: 'network slow', strangers: 'strangers take the server',
  };

  function verdict() {
    const v = (now.verdicts || []).find((x) => x.database === chosen) || (now.verdicts || [])[0];
    if (!v) return;
    const [kind, mark] = kinds[v.state] || ['bad', '✖'];
    const name = names[v.state] || v.state;
    $('verdict').className = 'verdict ' + kind;
    say('mark', mark);
    say('state', name);
    const since = Date.parse(v.since) / 1000;
    say('since', since > 0 ? 'since ' + clock(since, true) + ', ' + Math.round(v.confidence * 100) + ' % sure' : '');
    say('sentence', v.sentence);
    if (performance.getEntriesByName('said').length === 0) performance.mark('said');
    say('advice', v.advice);
    say('evidence', Object.entries(v.evidence || {}).map(([k, x]) => k.replace(/_/g, ' ') + ' ' + (x === null ? '?' : digits(x))).join(' · '));
    document.title = (kind === 'good' || kind === 'busy' ? '' : mark + ' ') + name + ' · pgguard';
    culprit(v);
  }

  function node(c, title) {
    const n = el('div', null, 'node');
    const head = el('div');
    head.append(el('strong', c.process || c.application_name || (c.statement ? '' : 'unnamed')));
    const parts = [];
    if (c.pid) parts.push((c.process ? 'process ' : 'pid ') + c.pid);
    if (c.client) parts.push('from ' + c.client);
    if (c.class) parts.push('class ' + c.class);
    if (c.waiters) parts.push(c.waiters + ' wait for it');
    head.append(document.createTextNode((head.textContent ? ' ' : '') + parts.join(', ')));
    n.append(el('div', title, 'quiet'), head);
    const what = [c.statement, ...Object.keys(c.tags || {}).sort().map((k) => k + '=' + c.tags[k])].filter(Boolean).join(', ');
    if (what) n.append(el('div', what));
    if (c.query) n.append(el('code', c.query, 'query'));
    if (c.fingerprint) n.append(el('div', 'fingerprint ' + c.fingerprint, 'quiet'));
    return n;
  }
  function end(how, pid, name, ends) {
    const d = el('div', how + ' ');
    d.append(el('code', 'select ' + (ends ? 'pg_terminate_backend(' : 'pg_cancel_backend(') + pid + ')'));
    if (token) {
      const b = el('button', ends ? 'End it' : 'Cancel it');
      b.type = 'button';
      b.addEventListener('click', () => confirm(
        ends ? 'End this session?' : 'Cancel what this session runs?',
        (name || 'unnamed') + ', pid ' + pid + ': ' + (ends ? 'its connection ends, and what its transaction did is rolled back.' : 'its statement fails; its connection stays.'),
        '/api/v1/cancel', { pid, end: ends }));
      d.append(' ', b);
    }
    return d;
  }
  let drawnCulprit = '';
  function culprit(v) {
    const c = v.culprit || {};
    const has = Object.keys(c).some((k) => k !== 'class') && kinds[v.state] !== kinds.calm && v.state !== 'busy';
    $('culprit').hidden = !has;
    const same = JSON.stringify(c) + v.state + v.cause;
    if (!has || same === drawnCulprit) return;
    drawnCulprit = same;
    const locks = v.state === 'locks';
    const top = node(c, locks && c.pid ? 'holds what the others wait for' : 'causes it');
    if (c.through) {
      const t = node(c.through, 'waits for it, and all others wait behind');
      t.append(end('To let the others go on:', c.through.pid, c.through.application_name, false));
      top.append(t);
    }
    if (c.pid && !c.process) {
      if (locks) top.append(end('To end it:', c.pid, c.application_name, true));
      else top.append(end('To cancel what it runs:', c.pid, c.application_name, false));
    }
    $('tree').replaceChildren(top);
  }

  // --- what may be done, by who knows the token

  let order = null;
  function confirm(title, what, path, body) {
    order = { path, body: Object.assign({ confirm: true }, body) };
    say('confirm-h', title);
    say('confirm-what', what);
    $('confirm').showModal();
  }
  async function act() {
    const o = order;
    $('confirm').close();
    if (!o) return;
    order = null;
    say('done', 'asked…');
    try {
      const answer = await fetch(o.path, {
        method: 'POST', cache: 'no-store', headers: Object.assign({ 'Content-Type': 'application/json' }, headers()), body: JSON.stringify(o.body),
      });
      const text = await answer.text();
      say('done', answer.ok ? 'Done: ' + JSON.parse(text).did + '.' : 'Not done: ' + text.trim());
    } catch (e) {
      say('done', 'No answer from pgguard; look whether it was done.');
    }
  }
  function acts() {
    $('acts').hidden = !token;
    say('pause', now.paused ? 'Let clients go on' : 'Pause all clients');
    const observe = now.mode === 'observe';
    say('mode', observe ? 'Enforce' : 'Only report');
    say('moded', observe ? 'Limit, shedding, reaping and breaker only report what they would do.' : '');
    say('paused', now.paused ? 'Clients are paused: they wait, however long.' : '');
  }
  $('pause').addEventListener('click', () => (now && now.paused
    ? confirm('Let clients go on?', 'Who waits for the pause to end goes on, in the order in which they came.', '/api/v1/resume', {})
    : confirm('Pause all clients?', 'Each waits before its next transaction, however long, until somebody lets them go on. What runs is not interrupted.', '/api/v1/pause', {})));
  $('mode').addEventListener('click', () => (now && now.mode === 'observe'
    ? confirm('Enforce?', 'Limit, shedding, reaping and breaker do what they decide, until the configuration is read again.', '/api/v1/mode', { mode: 'enforce' })
    : confirm('Only report?', 'Limit, shedding, reaping and breaker count what they would do, and refuse nobody, until the configuration is read again.', '/api/v1/mode', { mode: 'observe' })));
  $('yes').addEventListener('click', act);
  $('no').addEventListener('click', () => { order = null; $('confirm').close(); });

  // --- charts

  const W = 1000;
  function nice(x) {
    if (x <= 0) return 1;
    const p = Math.pow(10, Math.floor(Math.log10(x)));
    for (const m of [1, 2, 4, 5, 10]) if (x <= m * p) return m * p;
    return 10 * p;
  }
  function drawn() {
    const d = rows[chosen];
    return d ? d[range] : [];
  }
  // ticks are the numbers at the side: of a linear scale from 0 to top, or, with a bottom, powers of ten from there to top.
  function ticks(top, least) {
    if (!least) return [0, 1, 2, 3, 4].map((i) => top * i / 4);
    const out = [];
    for (let v = least; v <= top * 1.001; v *= 10) out.push(v);
    return out;
  }
  function frame(where, list, top, unit, least) {
    const box = where.getBoundingClientRect();
    const w = Math.max(200, Math.round(box.width)), h = Math.max(80, Math.round(box.height));
    const root = svg('svg', { viewBox: `0 0 ${w} ${h}`, 'aria-hidden': 'true' });
    const left = 44, bottom = h - 18, high = 8;
    const length = kept[range] * step[range];
    const last = list.length ? list[list.length - 1][0] : Math.floor(Date.now() / 1000);
    const x = (t) => left + (w - left - 4) * (1 - (last - t) / length);
    const part = (v) => (least ? Math.log(Math.max(v, least) / least) / Math.log(top / least) : v / top);
    const y = (v) => bottom - (bottom - high) * Math.min(1, part(v));
    for (const v of ticks(top, least)) {
      root.append(svg('line', { class: 'grid', x1: left, x2: w, y1: y(v), y2: y(v) }));
      const t = svg('text', { x: left - 6, y: y(v) + 4, 'text-anchor': 'end' });
      t.textContent = unit(v);
      root.append(t);
    }
    const parts = w < 500 ? 3 : 6;
    for (let i = 1; i < parts; i++) {
      const at = last - length * i / parts;
      const t = svg('text', { x: x(at), y: h - 4, 'text-anchor': 'middle' });
      t.textContent = clock(at, false);
      root.append(t);
    }
    return { root, x, y, w, h, bottom, left, high };
  }
  // runs splits rows where seconds are missing, so that no line is drawn over a gap.
  function runs(list) {
    const out = [];
    let from = 0;
    for (let i = 1; i <= list.length; i++) {
      if (i === list.length || list[i][0] - list[i - 1][0] > 3 * step[range]) {
        if (i > from) out.push(list.slice(from, i));
        from = i;
      }
    }
    return out;
  }
  function area(f, list, low, high) {
    let d = '';
    for (const run of runs(list)) {
      d += 'M' + run.map((r) => f.x(r[0]).toFixed(1) + ' ' + f.y(high(r)).toFixed(1)).join('L');
      d += 'L' + run.slice().reverse().map((r) => f.x(r[0]).toFixed(1) + ' ' + f.y(low(r)).toFixed(1)).join('L') + 'Z';
    }
    return d;
  }
  function path(f, list, of) {
    let d = '';
    for (const run of runs(list)) d += 'M' + run.map((r) => f.x(r[0]).toFixed(1) + ' ' + f.y(of(r)).toFixed(1)).join('L');
    return d;
  }
  const sum = (r, from, to) => { let n = 0; for (let i = from; i < to; i++) n += r[i]; return n; };

  function chart() {
    const list = drawn(), where = $('chart');
    const W0 = FIRST, Q0 = FIRST + meta.waits.length, K = meta.classes.length;
    let top = 1;
    for (const r of list) top = Math.max(top, sum(r, W0, Q0 + K), r[3] * 1.15);
    const busiest = list.length ? Math.max(...list.map((r) => r[4])) : 0;
    if (busiest <= 2 * top) top = Math.max(top, busiest * 1.05); // a cap far above all would flatten what happens
    top = nice(top);
    const f = frame(where, list, top, digits);
    const defs = svg('defs', {});
    for (let k = 0; k < K; k++) {
      const p = svg('pattern', { id: 'h' + k, width: 6, height: 6, patternUnits: 'userSpaceOnUse', patternTransform: 'rotate(45)' });
      p.append(svg('line', { class: 'hatch s-k' + k, x1: 2, x2: 2, y1: 0, y2: 6 }));
      defs.append(p);
    }
    f.root.append(defs);
    for (let k = 0; k < meta.waits.length; k++) {
      if (!list.some((r) => r[W0 + k] > 0)) continue;
      f.root.append(svg('path', { class: 'f-w' + k, d: area(f, list, (r) => sum(r, W0, W0 + k), (r) => sum(r, W0, W0 + k + 1)) }));
    }
    for (let k = 0; k < K; k++) {
      if (!list.some((r) => r[Q0 + k] > 0)) continue;
      f.root.append(svg('path', { fill: `url(#h${k})`, d: area(f, list, (r) => sum(r, W0, Q0 + k), (r) => sum(r, W0, Q0 + k + 1)) }));
    }
    for (const [name, at] of lines) {
      const some = list.filter((r) => r[at] > 0 && r[at] <= top);
      if (some.length) f.root.append(svg('path', { class: 'line l-' + name, d: path(f, some, (r) => r[at]) }));
    }
    if (cursor >= 0 && cursor < list.length) {
      const x = f.x(list[cursor][0]);
      f.root.append(svg('line', { class: 'cursor', x1: x, x2: x, y1: f.high, y2: f.bottom }));
    }
    where.replaceChildren(f.root);
    where.frame = f;
    readout(list);
  }
  function readout(list) {
    const r = list[cursor >= 0 && cursor < list.length ? cursor : list.length - 1];
    if (!r) { say('readout', ''); return; }
    const Q0 = FIRST + meta.waits.length;
    const parts = [clock(r[0], range === 'seconds'), names[meta.states[r[1]]] || meta.states[r[1]], digits(r[2]) + ' run of ' + digits(r[3])];
    meta.waits.forEach((w, i) => { if (r[FIRST + i] > 0) parts.push(digits(r[FIRST + i]) + ' ' + w); });
    meta.classes.forEach((c, i) => { if (r[Q0 + i] > 0) parts.push(digits(r[Q0 + i]) + ' of ' + c + ' wait in pgguard'); });
    if (r[6] > 0) parts.push(digits(r[6]) + ' refused a second');
    say('readout', parts.join(' · '));
    $('chart').setAttribute('aria-label', 'Statements by what they wait for. ' + parts.join(', ') + '. Left and right move in time.');
  }
  function legend() {
    const items = [];
    const item = (text, key) => { const li = el('li'); li.append(el('span', null, 'key ' + key), el('span', text)); items.push(li); };
    meta.waits.forEach((w, i) => item(w, 'f-w' + i));
    meta.classes.forEach((c, i) => item(c + ' waits in pgguard', 'stripes s-k' + i));
    item('limit: may run at once', 'rule k-limit');
    item('cap: connections', 'rule k-cap');
    if (drawn().some((r) => r[5] > 0)) item('processors', 'rule k-cores');
    $('legend').replaceChildren(...items);
    for (const id of ['p99-legend', 'good-legend']) {
      $(id).replaceChildren(...meta.classes.map((c, i) => { const li = el('li'); li.append(el('span', null, 'key s-k' + i), el('span', c)); return li; }));
    }
  }
  function small(id, offset, unit, about) {
    const list = drawn(), where = $(id), K = meta.classes.length;
    const at = FIRST + meta.waits.length + offset * K;
    let top = 0;
    for (const r of list) for (let k = 0; k < K; k++) top = Math.max(top, r[at + k]);
    // Times are drawn by their logarithm: what takes a millisecond is to be seen beside what takes ten seconds.
    const f = offset === 2 ? frame(where, list, Math.pow(10, Math.ceil(Math.log10(Math.max(top, 0.01)))), unit, 0.001) : frame(where, list, nice(top || 1), unit);
    for (let k = 0; k < K; k++) {
      const some = offset === 2 ? list.filter((r) => r[at + k] > 0) : list;
      if (some.some((r) => r[at + k] > 0)) f.root.append(svg('path', { class: 'line s-k' + k, d: path(f, some, (r) => r[at + k]) }));
    }
    where.replaceChildren(f.root);
    const r = list[list.length - 1];
    where.setAttribute('aria-label', about + (r ? ': ' + meta.classes.map((c, k) => c + ' ' + unit(r[at + k])).join(', ') : ''));
  }

  // --- tables

  function tiles(d) {
    const c = now.clients || {}, servers = d.servers || {};
    const clients = Object.values(c).reduce((a, b) => a + b, 0);
    const open = (servers.idle || 0) + (servers.active || 0);
    const pins = Object.entries(now.pinned || {}).filter(([, n]) => n > 0);
    const pinned = pins.reduce((a, [, n]) => a + n, 0);
    const r = d.row || [];
    const list = [
      ['Clients', clients, `${c.active || 0} run, ${c.waiting || 0} wait, ${c.idle_in_transaction || 0} idle in a transaction`],
      ['Connections to PostgreSQL', open, `${servers.active || 0} in use, cap ${digits(r[4] || 0)}`],
      ['Clients for each connection', open ? digits(clients / open) : '–', 'multiplexing'],
      ['May run at once', digits(r[3] || 0), `${digits(r[2] || 0)} do`],
      ['Keep a connection', pinned, pins.length ? pins.map(([k, n]) => n + ' ' + k).join(', ') : 'nobody is pinned'],
    ];
    const would = Object.entries(now.would || {});
    if (now.mode === 'observe') list.push(['Would have been refused', would.reduce((a, [, n]) => a + n, 0), would.map(([k, n]) => n + ' ' + k).join(', ') || 'nothing so far']);
    $('tiles').replaceChildren(...list.map(([name, value, more]) => {
      const box = el('div'), dd = el('dd', value);
      dd.append(el('small', more));
      box.append(el('dt', name), dd);
      return box;
    }));
  }
  function tables(d) {
    fill('journal', (now.journal || []).map((e) => [cell(clock(e.time / 1000, true), 'nowrap'), cell(e.text, 'text'), cell(e.effect, 'nowrap')]), 'Nothing yet.', 3);
    const crowds = (d.crowds || []).map((c) => [
      cell((c.application || '(no name)') + (known.has(c.application) ? '' : ' (new)'), 'text'), cell(c.clients), cell(c.active), cell(c.waiting),
      cell(c.idling ? `${c.idling} (${span(c.oldest_seconds)})` : 0), cell(c.unread)]);
    if (d.more) crowds.push([cell(`and ${d.more} more names`, 'text'), cell(''), cell(''), cell(''), cell(''), cell('')]);
    fill('crowds', crowds, 'No client is here.', 6);
    fill('queries', (now.queries || []).map((q) => [cell(q.called || q.fingerprint, 'text', q.query), cell(Math.round(q.share * 100) + ' %'), cell(digits(q.calls)), cell(q.mean > 0 ? span(q.mean) : '–', 'nowrap')]),
      'Nothing has run yet.', 4);
    fill('incidents', (now.incidents || []).map((i) => [cell(day(i.begin) + clock(i.begin, true), 'nowrap'),
      cell(i.end ? span(Math.max(1, i.end - i.begin)) : 'goes on', 'nowrap'), cell(i.name + ': ' + i.sentence, 'text'), cell(i.refused + ' refused')]), 'None since pgguard started.', 4);
  }

  // --- what comes in

  function choose() {
    const all = now.databases.map((d) => d.name);
    if (!all.includes(chosen)) chosen = (now.verdicts[0] && now.verdicts[0].database) || all[0] || '';
    $('which').hidden = all.length < 2;
    const select = $('database');
    if (select.options.length !== all.length) {
      select.replaceChildren(...all.map((n) => { const o = el('option', n); o.value = n; return o; }));
    }
    select.value = chosen;
    say('where', chosen + (now.mode === 'observe' ? ' · observe: only reports' : '') + (now.draining ? ' · draining' : ''));
    say('version', 'pgguard ' + now.version);
  }
  function take(message) {
    const first = now === null;
    now = message;
    meta.classes = now.classes;
    for (const d of now.databases) {
      if (!rows[d.name]) rows[d.name] = { seconds: [], minutes: [] };
      const list = rows[d.name].seconds;
      if (d.row && (!list.length || list[list.length - 1][0] < d.row[0])) {
        list.push(d.row);
        if (list.length > kept.seconds) list.splice(0, list.length - kept.seconds);
        minute(rows[d.name], d.row);
      }
      if (first) for (const c of d.crowds) known.add(c.application);
    }
    choose();
    draw();
  }
  // minute adds the minute that has just ended, as the guard does.
  function minute(d, row) {
    const list = d.seconds;
    const before = list[list.length - 2];
    if (!before || Math.floor(before[0] / 60) === Math.floor(row[0] / 60)) return;
    const at = Math.floor(before[0] / 60) * 60;
    const part = list.filter((r) => r[0] >= at && r[0] < at + 60);
    const m = part[0].map((_, i) => part.reduce((a, r) => a + r[i], 0) / part.length);
    m[0] = at;
    m[1] = Math.min(...part.map((r) => r[1]));
    const p99 = FIRST + meta.waits.length + 2 * meta.classes.length;
    for (let i = p99; i < m.length; i++) m[i] = Math.max(...part.map((r) => r[i]));
    if (d.minutes.length && d.minutes[d.minutes.length - 1][0] >= at) return;
    d.minutes.push(m);
    if (d.minutes.length > kept.minutes) d.minutes.splice(0, d.minutes.length - kept.minutes);
  }
  function draw() {
    if (!now) return;
    const d = now.databases.find((x) => x.name === chosen) || { row: [], servers: {}, crowds: [] };
    verdict();
    acts();
    if (document.hidden) return;
    chart();
    legend();
    small('p99', 2, span, '99 of 100 exchanges take less than');
    small('good', 1, digits, 'Exchanges finished a second');
    tiles(d);
    tables(d);
  }

  function headers() {
    return token ? { Authorization: 'Bearer ' + token } : {};
  }
  function live(text, off) {
    say('live', text);
    $('live').classList.toggle('off', off);
  }
  async function follow() {
    const answer = await fetch('/api/v1/stream', { headers: headers(), cache: 'no-store' });
    if (answer.status === 401) { ask(); return false; }
    if (!answer.ok) throw new Error(answer.status);
    const reader = answer.body.getReader(), decoder = new TextDecoder();
    let text = '';
    live('live', false);
    for (;;) {
      const { value, done } = await reader.read();
      if (done) throw new Error('ended');
      text += decoder.decode(value, { stream: true });
      for (let at = text.indexOf('\n\n'); at >= 0; at = text.indexOf('\n\n')) {
        if (text.startsWith('data: ')) take(JSON.parse(text.slice(6, at)));
        text = text.slice(at + 2);
      }
    }
  }
  async function past() {
    const answer = await fetch('/api/v1/history', { headers: headers(), cache: 'no-store' });
    if (!answer.ok) return;
    const h = await answer.json();
    meta.states = h.states;
    meta.waits = h.waits;
    meta.classes = h.classes;
    rows = {};
    for (const d of h.databases) rows[d.name] = { seconds: d.seconds, minutes: d.minutes };
  }
  async function run() {
    for (;;) {
      try {
        await past();
        if (await follow() === false) return;
      } catch (e) {
        live('no answer from pgguard; what is shown is old', true);
      }
      await new Promise((done) => setTimeout(done, 1500));
    }
  }
  function ask() {
    live('a token is needed', true);
    say('wrong', token ? 'That is not the token.' : '');
    token = '';
    $('ask').hidden = false;
    $('token').focus();
  }

  $('ask').addEventListener('submit', (e) => {
    e.preventDefault();
    token = $('token').value.trim();
    $('token').value = '';
    $('ask').hidden = true;
    run();
  });
  $('database').addEventListener('change', (e) => { chosen = e.target.value; drawnCulprit = ''; draw(); });
  for (const b of document.querySelectorAll('[data-range]')) {
    b.addEventListener('click', () => {
      range = b.dataset.range;
      cursor = -1;
      for (const o of document.querySelectorAll('[data-range]')) o.setAttribute('aria-pressed', String(o === b));
      draw();
    });
  }
  function point(event) {
    const f = $('chart').frame, list = drawn();
    if (!f || !list.length) return;
    const x = event.clientX - $('chart').getBoundingClientRect().left;
    let best = 0;
    list.forEach((r, i) => { if (Math.abs(f.x(r[0]) - x) < Math.abs(f.x(list[best][0]) - x)) best = i; });
    cursor = best;
    chart();
  }
  $('chart').addEventListener('pointermove', point);
  $('chart').addEventListener('pointerdown', point);
  $('chart').addEventListener('pointerleave', () => { cursor = -1; chart(); });
  $('chart').addEventListener('keydown', (e) => {
    const list = drawn(), far = e.shiftKey ? 30 : 1;
    const at = cursor < 0 ? list.length - 1 : cursor;
    if (e.key === 'ArrowLeft') cursor = Math.max(0, at - far);
    else if (e.key === 'ArrowRight') cursor = Math.min(list.length - 1, at + far);
    else if (e.key === 'Home') cursor = 0;
    else if (e.key === 'End' || e.key === 'Escape') cursor = -1;
    else return;
    e.preventDefault();
    $('readout').setAttribute('aria-live', 'polite');
    chart();
  });
  window.addEventListener('resize', draw);
  document.addEventListener('visibilitychange', draw);
  run();
})();
