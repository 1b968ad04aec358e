/** @file The scripts of the page: values at the pointer, and, while a run is watched, news from the server. */

/** Shows the numbers of the row that is nearest to the pointer; they come from the figure's own table. */
export const POINTER_SCRIPT = `
(() => {
  const box = document.getElementById('values');
  const page = document.getElementById('page');
  let guide = null;
  const hide = () => { box.hidden = true; if (guide) guide.remove(); guide = null; };
  const number = (cell) => Number(cell.textContent.replaceAll(',', ''));
  const rowsOf = (figure) => figure.rows ||= [...figure.querySelectorAll('.numbers tbody tr')].map((row) => ({ x: number(row.cells[0]), row }));
  const show = (event) => {
    const svg = event.target.closest && event.target.closest('.plot > svg');
    const rows = svg && rowsOf(svg.closest('figure'));
    if (!rows || !rows.length) return hide();
    const [left, right, top, bottom, from, to] = svg.dataset.frame.split(' ').map(Number);
    const area = svg.getBoundingClientRect();
    const scale = svg.viewBox.baseVal.width / area.width;
    const at = from + ((event.clientX - area.left) * scale - left) / (right - left) * (to - from);
    const { x, row } = rows.reduce((best, one) => Math.abs(one.x - at) < Math.abs(best.x - at) ? one : best);
    const place = left + (x - from) / (to - from) * (right - left);
    if (!guide || guide.ownerSVGElement !== svg) {
      hide();
      guide = svg.appendChild(document.createElementNS(svg.namespaceURI, 'line'));
      guide.setAttribute('class', 'guide');
      guide.setAttribute('y1', top);
      guide.setAttribute('y2', bottom);
    }
    guide.setAttribute('x1', place);
    guide.setAttribute('x2', place);
    const titles = row.closest('table').tHead.rows[0].cells;
    box.textContent = [...row.cells].map((cell, i) => titles[i].textContent + '  ' + cell.textContent).join('\\n');
    box.hidden = false;
    const x1 = area.left + place / scale + 12;
    box.style.left = Math.max(8, x1 + box.offsetWidth > innerWidth - 8 ? x1 - box.offsetWidth - 24 : x1) + 'px';
    box.style.top = Math.max(8, area.top + top / scale) + 'px';
  };
  page.addEventListener('pointermove', show);
  page.addEventListener('pointerdown', show);
  page.addEventListener('pointerleave', hide);
  addEventListener('scroll', hide, { passive: true });
})();
`;

/** Takes the page's new contents whenever the server says that there are some; what is unfolded stays so. */
export const LIVE_SCRIPT = `
(() => {
  const page = document.getElementById('page');
  const say = (text, lost) => {
    const state = document.getElementById('state');
    state.textContent = text;
    state.classList.toggle('lost', lost);
  };
  const nameOf = (details) => (details.closest('figure, section') || {}).id + ' ' + details.querySelector('summary').textContent;
  let busy = false, again = false;
  const refresh = async () => {
    if (busy) { again = true; return; }
    busy = true;
    try {
      const response = await fetch('/');
      if (!response.ok) throw new Error(await response.text());
      const next = new DOMParser().parseFromString(await response.text(), 'text/html');
      const open = new Set([...page.querySelectorAll('details[open]')].map(nameOf));
      const places = [...page.querySelectorAll('.scroll, pre')].map((part) => part.scrollTop);
      const { dataset, childNodes } = next.getElementById('page');
      page.dataset.version = dataset.version;
      page.replaceChildren(...childNodes);
      document.title = next.title;
      for (const details of page.querySelectorAll('details')) details.open = open.has(nameOf(details));
      page.querySelectorAll('.scroll, pre').forEach((part, i) => { part.scrollTop = places[i] || 0; });
      say('live', false);
    } catch (error) {
      say('no answer: ' + error.message, true);
    }
    busy = false;
    if (again) { again = false; refresh(); }
  };
  const news = new EventSource('/events');
  news.addEventListener('change', ({ data }) => data === page.dataset.version ? say('live', false) : refresh());
  news.addEventListener('error', () => say('not connected; trying again', true));
})();
`;
