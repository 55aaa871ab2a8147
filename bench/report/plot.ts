/** A curve of measurements, with straight lines from one to the next. */
export interface Chart {
  readonly title: string;
  readonly xTitle: string;
  readonly points: readonly (readonly [x: number, y: number])[];
}

const CHART = { width: 260, height: 190, left: 52, right: 14, top: 30, bottom: 40 };
const PLOT_WIDTH = CHART.width - CHART.left - CHART.right;
const PLOT_HEIGHT = CHART.height - CHART.top - CHART.bottom;
const TICKS = 4;

/** An SVG image with the charts in rows; both axes of each begin at 0. It is legible on light and on dark pages. */
export function plot(title: string, rows: readonly (readonly Chart[])[]): string {
  const width = CHART.width * Math.max(...rows.map((row) => row.length));
  const height = CHART.height * rows.length;
  const charts = rows.flatMap((row, y) =>
    row.map((chart, x) => `<g transform="translate(${x * CHART.width} ${y * CHART.height})">${drawChart(chart)}</g>`),
  );
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" font-family="sans-serif" font-size="11">`,
    `<title>${escapeXml(title)}</title>`,
    `<rect width="${width}" height="${height}" fill="#fff"/>`,
    ...charts,
    '</svg>\n',
  ].join('\n');
}

function drawChart({ title, xTitle, points }: Chart): string {
  const xStep = stepOf(Math.max(...points.map(([x]) => x)));
  const yStep = stepOf(Math.max(...points.map(([, y]) => y)));
  const toX = (x: number) => CHART.left + (x / (xStep * TICKS)) * PLOT_WIDTH;
  const toY = (y: number) => CHART.top + PLOT_HEIGHT * (1 - y / (yStep * TICKS));
  const marks = points.map(([x, y]) => [toX(x).toFixed(1), toY(y).toFixed(1)] as const);
  const middle = CHART.left + PLOT_WIDTH / 2;
  return [
    text(middle, 18, 'middle', title, ' font-weight="bold"'),
    ...Array.from({ length: TICKS + 1 }, (_, tick) => {
      const y = toY(yStep * tick);
      const line = `<line x1="${CHART.left}" x2="${CHART.left + PLOT_WIDTH}" y1="${y}" y2="${y}" stroke="#ddd"/>`;
      return line + text(CHART.left - 5, y + 4, 'end', label(yStep * tick));
    }),
    ...Array.from({ length: TICKS + 1 }, (_, tick) =>
      text(toX(xStep * tick), CHART.top + PLOT_HEIGHT + 15, 'middle', label(xStep * tick)),
    ),
    text(middle, CHART.height - 8, 'middle', xTitle),
    `<polyline fill="none" stroke="#0a5fb4" stroke-width="2" points="${marks.map((mark) => mark.join(',')).join(' ')}"/>`,
    ...marks.map(([x, y]) => `<circle cx="${x}" cy="${y}" r="3" fill="#0a5fb4"/>`),
  ].join('');
}

/** The least round number of which four steps hold `most`. */
function stepOf(most: number): number {
  const step = most > 0 ? most / TICKS : 1;
  const power = 10 ** Math.floor(Math.log10(step));
  return (ROUND.find((factor) => factor * power >= step * (1 - 1e-9)) ?? 10) * power;
}

const ROUND = [1, 1.25, 1.5, 2, 2.5, 3, 4, 5, 7.5];

function label(value: number): string {
  return value >= 10_000 ? `${value / 1000}k` : String(Number(value.toPrecision(6)));
}

function text(x: number, y: number, anchor: 'middle' | 'end', content: string, attributes = ''): string {
  return `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" text-anchor="${anchor}" fill="#333"${attributes}>${escapeXml(content)}</text>`;
}

function escapeXml(content: string): string {
  return content.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}
