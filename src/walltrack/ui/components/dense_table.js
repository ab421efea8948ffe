// Cells are drawn here and not by the framework's slots: those are made anew, cell by cell, with any change of the page.
const unknownLast = (a, b) => {
  const [one, other] = [a ?? -Infinity, b ?? -Infinity];
  return one < other ? -1 : one > other ? 1 : 0;
};

export default {
  template: `
    <q-table :columns="sorted">
      <template #header-cell="props">
        <q-th :props="props"><span :title="props.col.title">{{ props.col.label }}</span></q-th>
      </template>
      <template #body-cell="props">
        <td :class="props.col.cell">
          <span v-if="props.col.kind === 'number'" :class="toneOf(props)">{{ of(props, "text") }}</span>
          <wt-time v-else-if="props.col.kind === 'time'" :datetime="props.value"></wt-time>
          <a v-else-if="props.col.kind === 'run'" class="wt-link" :href="'/runs/' + props.row.id">
            <wt-time :datetime="props.value"></wt-time>
          </a>
          <a v-else-if="props.col.kind === 'run_of'" class="wt-link" :href="'/runs/' + props.row.run_id">{{ props.value }}</a>
          <wt-address v-else-if="props.col.kind === 'wallet'" :value="props.value" :href="'/wallets/' + props.value"></wt-address>
          <wt-address v-else-if="props.col.kind === 'token'" kind="token" :value="props.value" :label="of(props, 'label')"></wt-address>
          <template v-else-if="props.col.kind === 'signatures'">
            <wt-address v-for="one in props.value" :key="one" kind="tx" :value="one"></wt-address>
          </template>
          <template v-else-if="props.col.kind === 'chips'">
            <span v-for="one in props.value" :key="one.text" class="wt-chip" :data-tone="one.tone" :title="one.title">{{ one.text }}</span>
          </template>
          <template v-else-if="props.col.kind === 'chip'">
            <span v-if="props.value" class="wt-chip" :data-tone="of(props, 'tone')" :title="of(props, 'title')">{{ of(props, "text") || props.value }}</span>
          </template>
          <span v-else :title="of(props, 'title')">{{ props.value }}</span>
        </td>
      </template>
    </q-table>
  `,
  props: { columns: Array },
  computed: {
    sorted() {
      return this.columns.map((column) => ({
        ...column,
        field: column.name,
        sort: unknownLast,
        cell: `text-${column.align} ${column.classes}`,
      }));
    },
  },
  methods: {
    of: (cell, part) => cell.row[`${cell.col.name}_${part}`],
    toneOf(cell) {
      const tone = this.of(cell, "tone");
      return tone ? `wt-tone-${tone}` : "";
    },
  },
};
