import { echarts } from "nicegui-echart";

// The framework's own chart breaks where a page is left before its chart was drawn.
export default {
  template: "<div></div>",
  async mounted() {
    await new Promise((resolve) => setTimeout(resolve, 0)); // until it has its size
    if (this.left) return;
    this.chart = echarts.init(this.$el);
    this.observer = new ResizeObserver(() => this.chart.resize());
    this.observer.observe(this.$el);
    this.update_chart();
  },
  beforeUnmount() {
    this.left = true;
    this.observer?.disconnect();
    this.chart?.dispose();
  },
  methods: {
    update_chart() {
      // After what else has changed is shown: drawing takes long.
      setTimeout(() => { if (!this.left) this.chart?.setOption(this.options, { notMerge: true }); }, 0);
    },
  },
  props: { options: Object },
};
