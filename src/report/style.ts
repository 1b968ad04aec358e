/** @file The style sheet of the page. */
import { paletteCss } from './palette.js';

export const STYLE = `
${paletteCss()}
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%;scroll-padding-top:1rem}
body{margin:0;background:var(--background);color:var(--ink);font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif;font-variant-numeric:tabular-nums}
#page{max-width:1220px;margin:0 auto;padding:1.75rem 20px 4rem}
a{color:var(--blue)}
a:focus-visible,summary:focus-visible,[tabindex]:focus-visible{outline:2px solid var(--blue);outline-offset:2px}
code,pre{font:.92em/1.5 ui-monospace,SFMono-Regular,Menlo,Consolas,"Liberation Mono",monospace}
h1,h2,h3,h4,p,figure,dl,dd,ul{margin:0;padding:0}
h1{font-size:clamp(1.6rem,4vw,2.2rem);line-height:1.2;letter-spacing:-.015em;overflow-wrap:anywhere}
h2{font-size:1.25rem;letter-spacing:-.01em;margin:2.75rem 0 .9rem}
h3{font-size:1rem;line-height:1.35;overflow-wrap:anywhere}
h4{font-size:.8rem;color:var(--muted);font-weight:600;margin-bottom:.35rem}
section>p{color:var(--muted);margin-bottom:.9rem}
.skip{position:absolute;left:-999px}
.skip:focus{left:12px;top:8px;background:var(--surface);padding:.4rem .7rem}
.unseen{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}
.kind{color:var(--muted);font-size:.8rem;font-weight:600;letter-spacing:.04em}
.where{color:var(--muted);font-size:.9rem;margin-top:.4rem;overflow-wrap:anywhere}
#state{color:var(--good);font-weight:600}
#state.lost{color:var(--warning)}
nav ul{display:flex;flex-wrap:wrap;gap:.15rem 1.1rem;list-style:none;margin-top:1.1rem;padding-top:.8rem;border-top:1px solid var(--grid)}
nav a{display:inline-block;padding:.2rem 0;text-decoration:none;font-size:.9rem}
nav a:hover{text-decoration:underline}
.card{background:var(--surface);border:1px solid var(--grid);border-radius:10px;padding:16px 20px;min-width:0}
.tiles{display:grid;grid-template-columns:repeat(3,minmax(0,1fr));background:var(--surface);border:1px solid var(--grid);border-radius:10px;overflow:hidden}
.tile{padding:16px 20px;border-bottom:1px solid var(--grid);border-right:1px solid var(--grid);margin:0 -1px -1px 0;min-width:0}
.tile dt{color:var(--muted);font-size:.85rem}
.tile strong{display:block;font-size:1.55rem;line-height:1.25;font-weight:650;letter-spacing:-.02em;overflow-wrap:anywhere}
.tile:last-child strong{font-size:1.1rem;line-height:1.4;padding:.15rem 0}
.tile span{color:var(--muted);font-size:.85rem;overflow-wrap:anywhere}
progress{display:block;width:100%;height:5px;margin:.35rem 0 .3rem;appearance:none;border:0;border-radius:3px;background:var(--grid);overflow:hidden}
progress::-webkit-progress-bar{background:var(--grid)}
progress::-webkit-progress-value{background:var(--blue)}
progress::-moz-progress-bar{background:var(--blue)}
.grid{display:grid;grid-template-columns:repeat(12,minmax(0,1fr));gap:16px}
.grid+*{margin-top:16px}
.whole,.example,.grid>.empty{grid-column:span 12}
.half{grid-column:span 6}
.quarter{grid-column:span 3;padding:14px 16px}
.third{grid-column:span 4}
.card figcaption p{color:var(--muted);font-size:.85rem;overflow-wrap:anywhere}
.quarter h3{font-size:.92rem}
section>.lead{margin:1.5rem 0 .8rem}
.last{color:var(--blue)}
.earlier{color:var(--muted)}
.legend{display:flex;flex-wrap:wrap;gap:.1rem 1rem;list-style:none;font-size:.8rem;color:var(--muted);margin-top:.4rem}
.quarter .legend{display:none}
.key{width:18px;height:8px;margin-right:.4rem;vertical-align:middle}
figure.card{display:flex;flex-direction:column}
.plot{padding-top:.5rem}
.plot.lines{margin-top:auto}
.plot>svg{display:block;width:100%;height:auto;overflow:visible;touch-action:pan-y}
.plot text{font-family:inherit}
.plot .narrow,.plot .medium{display:none}
.guide{stroke:var(--muted);stroke-width:1;vector-effect:non-scaling-stroke}
#values{position:fixed;z-index:2;pointer-events:none;background:var(--ink);color:var(--surface);font-size:.8rem;line-height:1.45;padding:.35rem .6rem;border-radius:6px;max-width:240px;white-space:pre-line}
details{margin-top:.6rem}
summary{cursor:pointer;color:var(--muted);font-size:.85rem}
details.card{margin-top:16px}
details.card>summary{color:var(--ink);font-size:.95rem}
.scroll{overflow:auto;max-height:420px;margin-top:.5rem}
.card.scroll{margin-top:0;max-height:none}
table{border-collapse:collapse;font-size:.85rem;width:100%}
th,td{text-align:right;padding:.28rem .7rem;border-bottom:1px solid var(--grid);font-weight:400;white-space:nowrap}
thead th{color:var(--muted);position:sticky;top:0;background:var(--surface)}
th:first-child,td:first-child,.words th,.words td{text-align:left;padding-left:0}
.words td,tbody th{white-space:normal;overflow-wrap:anywhere}
.words td:nth-child(3){color:var(--muted)}
.words th{padding-right:1.2rem}
pre{margin:.6rem 0 0;max-height:480px;overflow:auto;font-size:.8rem}
.pair{display:grid;grid-template-columns:1fr 1fr;gap:12px;margin-top:.6rem}
.example img{display:block;width:100%;height:auto;border-radius:6px;background:var(--grid)}
.facts{display:grid;gap:.5rem}
.facts div{display:grid;grid-template-columns:9rem minmax(0,1fr);gap:1rem}
.facts dt{color:var(--muted)}
.facts dd{overflow-wrap:anywhere}
.messages{list-style:none;display:grid;gap:.5rem;border-left:3px solid var(--warning)}
.messages li{overflow-wrap:anywhere}
.messages time{color:var(--muted);margin-right:.4rem}
.empty{color:var(--muted)}
@media(max-width:1000px){.half,.third{grid-column:span 12}.quarter{grid-column:span 6}.card:not(.quarter) .wide{display:none}.plot .medium{display:block}}
@media(max-width:600px){
#page{padding:1.25rem 12px 3rem}
.tiles{grid-template-columns:repeat(2,minmax(0,1fr))}
.tile{padding:12px 14px}
.tile strong{font-size:1.3rem}
.tile:nth-child(n+5){grid-column:span 2}
.card{padding:14px}
.grid{gap:12px}
.quarter{padding:12px}
.card .plot .wide,.card .plot .medium{display:none}
.plot .narrow{display:block}
.pair{grid-template-columns:1fr}
.facts div{grid-template-columns:1fr;gap:0}
h2{margin-top:2.2rem}
.words thead{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}
.words tr{display:block;padding:.45rem 0;border-bottom:1px solid var(--grid)}
.words th,.words td{display:block;border:0;padding:.05rem 0}
.words tbody th{font-weight:600}
.words .unseen{position:static;width:auto;clip-path:none}
}
@media print{.skip,nav,details:not([open]){display:none}.card{break-inside:avoid}}
`;
