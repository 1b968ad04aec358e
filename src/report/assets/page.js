/** @file The script of the report: numbers at the pointer, and new contents while a run is watched. The page works without it. */
(() => {
  const page = document.getElementById('page');

  /** Shows the numbers of the point that is nearest to the pointer; they come from the table of the figure. */
  function showNumbers() {
    const box = document.getElementById('values');
    let guide = null;

    function hide() {
      box.hidden = true;
      guide?.remove();
      guide = null;
    }

    function rowsOf(figure) {
      figure.rows ||= [...figure.querySelectorAll('.numbers tbody tr')].map((row) => ({
        x: Number(row.cells[0].textContent.replaceAll(',', '')),
        row,
      }));
      return figure.rows;
    }

    function drawGuide(svg, x, top, bottom) {
      if (guide?.ownerSVGElement !== svg) {
        hide();
        guide = svg.appendChild(document.createElementNS(svg.namespaceURI, 'line'));
        guide.setAttribute('class', 'guide');
        guide.setAttribute('y1', top);
        guide.setAttribute('y2', bottom);
      }
      guide.setAttribute('x1', x);
      guide.setAttribute('x2', x);
    }

    /** Fills the box and puts it right of a place on the screen, or left of it if there is no room. */
    function fillBox(row, left, top) {
      const titles = row.closest('table').tHead.rows[0].cells;
      box.textContent = [...row.cells]
        .map((cell, i) => `${titles[i].textContent}  ${cell.textContent}`)
        .join('\n');
      box.hidden = false;
      const hasRoom = left + 12 + box.offsetWidth <= innerWidth - 8;
      box.style.left = `${Math.max(8, hasRoom ? left + 12 : left - 12 - box.offsetWidth)}px`;
      box.style.top = `${Math.max(8, top)}px`;
    }

    function show(event) {
      const svg = event.target.closest?.('.plot > svg');
      const rows = svg ? rowsOf(svg.closest('figure')) : [];
      if (rows.length === 0) return hide();
      const [left, right, top, bottom, from, to] = svg.dataset.frame.split(' ').map(Number);
      const area = svg.getBoundingClientRect();
      const scale = svg.viewBox.baseVal.width / area.width;
      const at = from + (((event.clientX - area.left) * scale - left) / (right - left)) * (to - from);
      const distance = ({ x }) => Math.abs(x - at);
      const { x, row } = rows.reduce((best, one) => (distance(one) < distance(best) ? one : best));
      const place = left + ((x - from) / (to - from)) * (right - left);
      drawGuide(svg, place, top, bottom);
      fillBox(row, area.left + place / scale, area.top + top / scale);
    }

    page.addEventListener('pointermove', show);
    page.addEventListener('pointerdown', show);
    page.addEventListener('pointerleave', hide);
    addEventListener('scroll', hide, { passive: true });
  }

  /** Replaces the contents of the page whenever the server reports a change; opened details stay open. */
  function follow() {
    let busy = false;
    let again = false;

    function say(text, lost) {
      const state = document.getElementById('state');
      state.textContent = text;
      state.classList.toggle('lost', lost);
    }

    function nameOf(details) {
      return `${details.closest('figure, section')?.id} ${details.querySelector('summary').textContent}`;
    }

    function replace(next) {
      const open = new Set([...page.querySelectorAll('details[open]')].map(nameOf));
      const places = [...page.querySelectorAll('.scroll, pre')].map((part) => part.scrollTop);
      const { dataset, childNodes } = next.getElementById('page');
      page.dataset.version = dataset.version;
      page.replaceChildren(...childNodes);
      document.title = next.title;
      for (const details of page.querySelectorAll('details')) details.open = open.has(nameOf(details));
      page.querySelectorAll('.scroll, pre').forEach((part, i) => {
        part.scrollTop = places[i] || 0;
      });
    }

    async function refresh() {
      if (busy) {
        again = true;
        return;
      }
      busy = true;
      try {
        const response = await fetch('/');
        if (!response.ok) throw new Error(await response.text());
        replace(new DOMParser().parseFromString(await response.text(), 'text/html'));
        say('live', false);
      } catch (error) {
        say(`no answer: ${error.message}`, true);
      }
      busy = false;
      if (again) {
        again = false;
        refresh();
      }
    }

    const news = new EventSource('/events');
    news.addEventListener('change', ({ data }) =>
      data === page.dataset.version ? say('live', false) : refresh(),
    );
    news.addEventListener('error', () => say('not connected; trying again', true));
  }

  showNumbers();
  // Only the page of a watched run has a version.
  if (page.dataset.version !== undefined) follow();
})();
